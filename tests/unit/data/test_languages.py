"""Locale names become BCP 47 codes; what is asked for is chosen or refused."""

import pytest

from lightning_tying.data.languages import CORE_LANGUAGES, choose_languages, is_language_code, to_bcp47
from lightning_tying.errors import ConfigError


@pytest.mark.parametrize(
    ("locale", "code"),
    [
        ("de", "de"),
        ("de_DE", "de"),
        ("de_AT", "de-AT"),
        ("ja_JP", "ja"),
        ("zh_Hans", "zh"),
        ("zh_CN", "zh"),
        ("zh_Hant", "zh-Hant"),
        ("zh_TW", "zh-Hant"),
        ("pt", "pt"),
        ("pt_PT", "pt"),
        ("pt_BR", "pt-BR"),
        ("pt-br", "pt-BR"),
        ("sr_Latn", "sr-Latn"),
        ("sr@latin", "sr-Latn"),
        ("ca@valencia", "ca-valencia"),
        ("en_US.UTF-8", "en"),
        ("es_419", "es-419"),
        ("iw", "he"),
        ("ckb", "ckb"),
    ],
)
def test_codes(locale, code):
    assert is_language_code(locale)
    assert to_bcp47(locale) == code
    assert to_bcp47(code) == code


@pytest.mark.parametrize("name", ["messages", "", "d", "de_", "LC_MESSAGES?"])
def test_other_names_are_no_codes(name):
    assert not is_language_code(name)


def test_core_has_26_languages():
    assert len(set(CORE_LANGUAGES)) == 26


def test_choices():
    available = {"de", "en", "fr", "nds"}
    assert choose_languages("all", available, "x") == ["de", "en", "fr", "nds"]
    assert choose_languages("core", available, "x") == ["en", "de", "fr"]
    assert choose_languages(["fr", "de_DE", "fr"], available, "x") == ["fr", "de"]
    assert choose_languages("fr, de", available, "x") == ["fr", "de"]


@pytest.mark.parametrize("nothing", [[], "", " , "])
def test_zero_languages_are_refused(nothing):
    with pytest.raises(ConfigError, match=r"data\.languages is empty; give codes"):
        choose_languages(nothing, {"de"}, "x")


def test_unknown_language_names_the_nearest():
    with pytest.raises(
        ConfigError, match=r"no 'pt-BT' in the catalogues of x\. Nearest: 'pt-BR'\. There are 2: fr, pt-BR\."
    ):
        choose_languages(["pt_BT"], {"pt-BR", "fr"}, "the catalogues of x")


def test_nothing_there():
    with pytest.raises(ConfigError, match="no languages in x"):
        choose_languages("core", {"nds"}, "x")
