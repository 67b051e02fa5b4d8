"""What cannot become a vocabulary is refused, with all mistakes at once."""

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.training.checks import MAX_CHARACTERS
from lightning_tying.vocab.training.members import train_members
from tests.slow import slow

MANY = {f"x{number}": ["a b"] for number in range(300)}
HAN = "".join(chr(0x4E00 + number) for number in range(3000))


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ({"de": ["", " "]}, {}, "there is none in: de"),
        ({"de": ["a"], "": ["b"]}, {}, "'' is no language code"),
        ({"de": ["a"], "<x": ["b"]}, {}, "'<x' is no language code"),
        ({"pad": ["a"]}, {}, "No language can be called 'pad'"),
        ({"eos": ["a"]}, {}, "No language can be called 'eos'"),
        ({"unk": ["a"]}, {}, "No language can be called 'unk'"),
        ({"de": ["a", "b\0c"]}, {}, "Text 2 of de has a NUL"),
        ({"de": ["a" * (MAX_CHARACTERS + 1)]}, {}, "Text 1 of de has 1,000,001 characters"),
        (MANY, {"size": 400}, "300 language tags need 558"),
        ({"de": ["a"]}, {"size": 10**11}, "100,000,000,000 rows is too large"),
        ({"de": ["a"]}, {"strategy": "clustered", "clusters": 2}, "2 clusters of 1 languages; ask for 1 to 1"),
        ({"zh": [HAN]}, {"size": 1000, "pretokenizer": "metaspace"}, "smaller than its alphabet"),
        ({"zh": [HAN]}, {"size": 1000, "strategy": "unigram"}, "smaller than its alphabet: .* 2999 letters"),
        ({"zh": [HAN]}, {"size": 1000, "strategy": "clustered", "pretokenizer": "metaspace"}, "than its alphabet"),
        ({"de": ["a"]}, {"pretokenizer": "none"}, "no pretokenizer 'none'"),
    ],
)
def test_bad_requests(texts, options, message):
    with pytest.raises(ConfigError, match=message):
        SharedVocabulary.train(texts, **options)


def test_all_mistakes_at_once():
    with pytest.raises(ConfigError) as caught:
        SharedVocabulary.train({"pad": ["a"], "de": [], "fr": ["\0"]}, size=7)
    assert len(str(caught.value).splitlines()) == 4


def test_members_are_checked_before_the_first_is_learned():
    with pytest.raises(ConfigError, match="there is none in: fr"):
        train_members({"de": ["a"], "fr": []}, 300)


@pytest.mark.parametrize("last", [0x10000, pytest.param(0x110000, marks=slow)])
def test_as_many_letters_as_there_are(last):
    letters = [chr(code) for code in range(0x100, last) if not 0xD800 <= code < 0xE000]
    lines = ["".join(letters[start : start + 50]) for start in range(0, len(letters), 50)]
    vocabulary = SharedVocabulary.train({"xx": lines}, size=300)
    assert vocabulary.decode(vocabulary.encode("\U0010fffd")) == "\U0010fffd"
    with pytest.raises(ConfigError, match="smaller than its alphabet"):
        SharedVocabulary.train({"xx": lines}, size=8000, strategy="unigram")


def test_lone_surrogates_are_learned_as_question_marks():
    for strategy in ("joint", "unigram"):
        assert SharedVocabulary.train({"de": ["a\ud800b Baum Baum"] * 4}, 280, strategy=strategy).encode("a")
