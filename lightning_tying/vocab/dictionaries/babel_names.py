"""The dictionary of the package `Babel`: codes of languages go in, names from CLDR in them come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries.dictionary import Dictionary, keep_first
from lightning_tying.vocab.dictionaries.package import import_package

KINDS = ("languages", "territories", "scripts", "currencies", "days", "months")


def read_babel(languages: Sequence[str]) -> Dictionary:
    """The names of languages, territories, scripts, currencies, days and months; a name that two have stays first.

    Args:
        languages: BCP 47 codes; those that CLDR does not have are left out.

    Raises:
        ConfigError: the package is not installed, or has fewer than two of the languages.
    """
    package = import_package("babel")
    locales = {language: locale for language in languages if (locale := _find_locale(package, language)) is not None}
    if len(locales) < 2:
        raise ConfigError(
            f"CLDR has names in {len(locales)} of the languages {', '.join(languages) or '(none)'}; a dictionary needs "
            "two or more."
        )
    return keep_first(_groups({language: _names(locale) for language, locale in locales.items()}))


def _find_locale(package: Any, language: str) -> Any:
    try:
        return package.Locale.parse(language, sep="-")
    except (ValueError, package.UnknownLocaleError):
        return None


def _names(locale: Any) -> dict[tuple[str, str], str]:
    """What is named → its name."""
    tables = {kind: getattr(locale, kind) for kind in KINDS}
    for kind in ("days", "months"):
        tables[kind] = tables[kind]["stand-alone"]["wide"]
    return {(kind, str(what)): str(name) for kind, table in tables.items() for what, name in table.items()}


def _groups(names: dict[str, dict[tuple[str, str], str]]) -> Iterator[dict[str, list[str]]]:
    order = dict.fromkeys(what for own in names.values() for what in own)
    for what in order:
        yield {language: [own[what]] for language, own in names.items() if what in own}
