"""Dictionaries of packages, and those induced from parallel text."""

from __future__ import annotations

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries import check_dictionary, induce, package, read_babel, read_emoji


def _find(dictionary, language, word):
    return next(group for group in dictionary if word in group.get(language, ()))


def test_emoji_names_are_complete_and_no_word_is_in_two_groups():
    found = read_emoji(["en", "de", "ja", "tlh"])
    assert len(found) > 1500
    check_dictionary(found)
    assert _find(found, "en", "dog") == {"en": ("dog",), "de": ("hund",), "ja": ("イヌ",)}
    assert not any("skin tone" in word for group in found for word in group.get("en", ()))


def test_names_of_cldr():
    found = read_babel(["de", "en", "pt-BR", "xx"])
    check_dictionary(found)
    assert _find(found, "de", "Montag") == {"de": ("Montag",), "en": ("Monday",), "pt-BR": ("segunda-feira",)}
    assert _find(found, "de", "Frankreich")["en"] == ("France",)


@pytest.mark.parametrize(("read", "codes"), [(read_emoji, ["en", "nl"]), (read_babel, ["de", "xx"]), (read_emoji, [])])
def test_fewer_than_two_known_languages_are_refused(read, codes):
    with pytest.raises(ConfigError, match=r"fewer than two|two or more"):
        read(codes)


def test_a_package_that_is_missing_names_the_extra():
    with pytest.raises(ConfigError, match=r"needs the package not_there.*lightning-tying\[examples\]"):
        package.import_package("not_there")


MESSAGES = {
    "en": ["the red house", "a red car", "the red dog", "red as wine", "the house", "house of cards", "my house"],
    "de": ["das rote Haus", "ein rote Auto", "der rote Hund", "rote wie Wein", "das Haus", "ein Haus", "mein Haus"],
    "fr": ["la maison rouge", "une rouge", "un rouge", "rouge", "la maison", "maison", "ma maison"],
}
PARALLEL = {code: {str(key): text for key, text in enumerate(texts)} for code, texts in MESSAGES.items()}


def test_words_that_stand_in_the_same_messages_are_found():
    found = induce(PARALLEL)
    assert {"en": ("red",), "de": ("rote",), "fr": ("rouge",)} in found
    assert {"en": ("house",), "de": ("Haus",), "fr": ("maison",)} in found
    assert len(found) == 2  # `the` has no partner as good as itself
    check_dictionary(found)


def test_the_bounds_are_kept():
    assert induce(PARALLEL, least_count=5) == ()
    assert {"de": ("Haus",), "en": ("house",), "fr": ("maison",)} in induce(PARALLEL, pivot="de")
    assert induce({**PARALLEL, "en": {"other": "red house"}}) == ()  # no message in common


@pytest.mark.parametrize(
    ("parallel", "options", "message"),
    [
        ({}, {}, "two or more languages"),
        ({"en": {}}, {}, "two or more languages"),
        (PARALLEL, {"pivot": "it"}, "it among them"),
        (PARALLEL, {"threshold": 0.0}, "threshold is 0.0"),
        (PARALLEL, {"least_count": 0}, "least_count 0"),
    ],
)
def test_what_cannot_be_induced_is_refused(parallel, options, message):
    with pytest.raises(ConfigError, match=message):
        induce(parallel, **options)
