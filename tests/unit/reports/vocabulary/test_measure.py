"""The figures of a vocabulary: each is the measure of the same name, and the worst language stands first."""

from __future__ import annotations

import json
import pickle
from statistics import fmean

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.reports.vocabulary import measure_vocabulary
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.measures.parity import gini, premiums
from lightning_tying.vocab.rows import make_row_map
from lightning_tying.vocab.separate_vocabularies import SeparateVocabularies
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from tests.unit.reports.vocabulary.samples import figures, subject
from tests.unit.vocab.measures.samples import MESSAGES, TEXTS


@pytest.fixture(scope="module")
def members() -> dict[str, SharedVocabulary]:
    return {language: SharedVocabulary.train({language: TEXTS[language]}, 300) for language in ("en", "de")}


def test_premiums_and_gini_are_those_of_the_parallel_messages() -> None:
    found, told = figures(), premiums(subject().encode, MESSAGES, "en")
    assert {each.language: each.premium for each in found.languages} == told
    assert (found.reference, found.premium_max) == ("en", max(told.values()))
    assert found.premium_mean == pytest.approx(fmean(told.values()))
    assert found.premium_ratio == pytest.approx(max(told.values()) / min(told.values()))
    assert found.gini == pytest.approx(gini(list(told.values())))


def test_counts_by_hand() -> None:
    english = next(each for each in figures().languages if each.language == "en")
    assert english.texts == 8 and english.bytes == sum(len(text) for text in TEXTS["en"])
    assert english.tokens == sum(map(len, subject().encode(TEXTS["en"], "en")))
    assert english.bytes_per_token == english.characters_per_token == english.bytes / english.tokens
    chinese = next(each for each in figures().languages if each.language == "zh")
    assert chinese.fertility is None and chinese.whole_words is None  # it puts no blanks between words
    assert chinese.bytes_per_token == pytest.approx(3 * (chinese.characters_per_token or 0), rel=0.02)


def test_lost_text_is_worse_than_a_high_price() -> None:
    assert figures("word_piece").languages[0].language == "zh"
    priced = [each.premium or 0 for each in figures().languages]  # nothing is lost here
    assert priced == sorted(priced, reverse=True)


def test_shared_rows_of_pairs_and_false_friends() -> None:
    found = figures()
    assert len(found.pairs) == 6
    divergences = [pair.divergence for pair in found.pairs]
    assert divergences == sorted(divergences)
    assert all("zh" in pair.languages for pair in found.pairs[-3:])  # another script shares the least
    assert [(each.word, each.languages) for each in found.false_friends] == [("red", ("en", "es"))]


def test_more_text_decides_which_rows_are_used_and_not_what_they_cost() -> None:
    some = {language: texts[:2] for language, texts in TEXTS.items()}
    few = measure_vocabulary(subject(), some)
    more = measure_vocabulary(subject(), some, corpus=MESSAGES)
    assert more.dead_rows < few.dead_rows
    assert [each.fertility for each in more.languages] == [each.fertility for each in few.languages]


def test_without_parallel_texts_the_rest_is_measured_and_a_note_says_so() -> None:
    found = measure_vocabulary(subject(), {**TEXTS, "fr": [], "it": [""]})
    assert found.reference is found.gini is found.premium_max is None and found.false_friends == ()
    assert found.notes == (
        "There is no text in fr, it; these are left out.",
        "There are no parallel texts, so premiums, Gini and false friends are not measured.",
    )
    assert {each.language for each in found.languages} == set(TEXTS)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"There is no text to measure byte_bpe with; give texts"):
        measure_vocabulary(subject(), {"en": []})
    with pytest.raises(ConfigError, match=r"no parallel text in 'fr', the reference; there is in: en, de, es, zh"):
        measure_vocabulary(subject(), TEXTS, MESSAGES, reference="fr")


def test_another_reference_and_one_language_alone() -> None:
    found = measure_vocabulary(subject(), TEXTS, MESSAGES, reference="de")
    assert next(each.premium for each in found.languages if each.language == "de") == 1
    alone = measure_vocabulary(subject(), {"en": TEXTS["en"]})
    assert alone.pairs == () and alone.languages[0].shared is None


def test_figures_are_plain_data_that_travels() -> None:
    found = figures().with_bits({"en": 1.25}, "test")
    assert pickle.loads(pickle.dumps(found)) == found
    data = json.loads(json.dumps(found.to_dict()))
    assert data["bits_from"] == "test"
    assert {each["language"]: each["bits_per_byte"] for each in data["languages"]}["en"] == 1.25


def test_a_shared_vocabulary(members: dict[str, SharedVocabulary]) -> None:
    english = members["en"]
    found = measure_vocabulary(english, {"en": TEXTS["en"]})
    assert found.rows == english.size and found.separate_rows is None and found.rows_saved is None
    assert found.pieces == english.size - 3  # <pad>, <eos>, <en>
    assert found.languages[0].round_trip == 1


def test_united_vocabularies_save_the_rows_of_their_map(members: dict[str, SharedVocabulary]) -> None:
    rows = make_row_map(members, "surface")
    texts = {language: TEXTS[language] for language in members}
    found = measure_vocabulary(UnitedVocabulary(members, rows), texts, {each: MESSAGES[each] for each in members})
    assert found.rows == rows.n_rows and found.rows_saved == pytest.approx(rows.saved_share)
    (pair,) = found.pairs
    shared = rows.shared_with("en", "de")
    assert pair.coverage == (pytest.approx(shared / 300), pytest.approx(shared / 300))
    both = set(rows.rows_of("en").tolist()) & set(rows.rows_of("de").tolist())
    united = UnitedVocabulary(members, rows)
    running = [[row for ids in united.encode_many(texts[each], each) for row in ids] for each in members]
    told = fmean(sum(row in both for row in own) / len(own) for own in running)
    assert pair.running == pytest.approx(told) and 0 < told < 1
    assert all(each.round_trip == 1 for each in found.languages)


def test_separate_vocabularies_share_nothing(members: dict[str, SharedVocabulary]) -> None:
    """Equal ids of two vocabularies mean different pieces, so they must not count as shared."""
    found = measure_vocabulary(SeparateVocabularies(members), {language: TEXTS[language] for language in members})
    (pair,) = found.pairs
    assert pair.divergence == pytest.approx(1) and pair.running == pair.saved == 0
    assert found.rows == found.separate_rows == 600 and found.rows_saved == 0
