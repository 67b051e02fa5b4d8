"""The benchmark of training at a small size: a report is written, and parity costs languages alike."""

from benchmarks.vocabulary_training import (
    FOLDS,
    compare_sampling,
    compare_strategies,
    write_sampling,
    write_strategies,
)

LONG = {"en": "the {} is {} and old", "el": "το {} είναι {} και παλιό"}
WORDS = {"en": ("house", "tree", "way", "book", "word"), "el": ("σπίτι", "δέντρο", "δρόμος", "βιβλίο", "λέξη")}
MESSAGES = {
    language: {
        f"{one} {other}": LONG[language].format(WORDS[language][one], WORDS[language][other])
        for one in range(5)
        for other in range(5)
    }
    for language in LONG
}


def test_parity_lowers_what_the_dearer_language_pays():
    costs = compare_strategies(MESSAGES, 300, range(2))
    assert costs["parity, base"].largest < costs["joint"].largest
    assert all(cost.premiums["en"] == 1.0 and len(cost.seconds) == 2 for cost in costs.values())
    page = write_strategies(costs, 300)
    assert page.count("\n| ") == 1 + len(costs) and "(el)" in page


def test_sampling_is_compared_on_texts_that_are_not_learned_from():
    uneven = {
        **MESSAGES,
        "en": {f"{key} {part}": f"{text} {part}" for key, text in MESSAGES["en"].items() for part in "abcdefgh"},
    }
    uneven["en"].update(MESSAGES["en"])
    costs = compare_sampling(uneven, 300, range(FOLDS))
    assert costs[0.3].premiums["el"] < costs[1.0].premiums["el"]
    assert "lowers the largest premium by" in write_sampling(costs, 300)
