"""False friends: words of one form that never translate each other; words that do are none."""

from __future__ import annotations

from lightning_tying.vocab.measures.false_friends import find_false_friends
from lightning_tying.vocab.measures.words import has_words, word_forms
from tests.unit.vocab.measures.samples import MESSAGES


def test_red_is_a_color_in_english_and_a_net_in_spanish() -> None:
    found = find_false_friends(MESSAGES)
    assert [(each.languages, each.word, each.dice, each.counts) for each in found] == [
        (("en", "es"), "red", 0.0, (4, 3)),
    ]


def test_words_that_translate_each_other_are_none() -> None:
    both = {"en": {str(n): "the hotel" for n in range(5)}, "de": {str(n): "das Hotel" for n in range(5)}}
    assert find_false_friends(both) == []
    apart = {**both, "de": {**{str(n): "das Haus" for n in range(5)}, "9": "Hotel", "10": "Hotel", "11": "Hotel"}}
    assert find_false_friends(apart) == []  # in messages that English lacks, nothing can be told
    apart["en"] |= {"9": "a", "10": "b", "11": "c"}
    assert [each.word for each in find_false_friends(apart)] == ["hotel"]


def test_marks_belong_to_their_letters_and_signs_end_words() -> None:
    assert word_forms("हिन्दी, %(name)s! 42 x") == {"हिन्दी", "name"}
    assert has_words("de") and has_words("ko") and not has_words("zh-Hant") and not has_words("ja")
