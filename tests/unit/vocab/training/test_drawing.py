"""Drawing: every language gets its share of the characters, at even distances, without chance."""

from itertools import pairwise

from lightning_tying.vocab import Sampling
from lightning_tying.vocab.training.drawing import draw_texts, repeat_texts
from lightning_tying.vocab.training.request import ignore_progress

TEXTS = {"en": [f"{number:04d}" for number in range(90)], "hi": [f"{number:04d}h" for number in range(10)]}


def characters(sampling):
    drawn = {"en": 0, "hi": 0}
    for text, times in draw_texts(TEXTS, sampling):
        drawn["hi" if text.endswith("h") else "en"] += times * len(text)
    return drawn


def test_shares_of_characters():
    assert characters(Sampling(policy="proportional")) == {"en": 360, "hi": 50}
    even = characters(Sampling(policy="uniform"))
    assert abs(even["en"] - 205) <= 4 and abs(even["hi"] - 205) <= 5


def test_whole_passes_then_even_distances():
    times = dict(draw_texts(TEXTS, Sampling(policy="weights", weights={"en": 0.25, "hi": 0.75})))
    assert {times[text] for text in TEXTS["hi"]} <= {6, 7}
    kept = [int(text) for text in TEXTS["en"] if text in times]
    assert len(kept) == 26 and max(b - a for a, b in pairwise(kept)) <= 4


def test_a_language_is_never_left_out():
    drawn = list(repeat_texts(TEXTS, Sampling(policy="weights", weights={"en": 1.0, "hi": 0.0}), ignore_progress))
    assert sum(text.endswith("h") for text in drawn) == 1
