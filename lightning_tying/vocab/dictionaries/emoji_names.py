"""The dictionary of the package `emoji`: codes of languages go in, the names of each emoji in them come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries.dictionary import Dictionary, keep_first
from lightning_tying.vocab.dictionaries.package import import_package

_SKIN_TONES = range(0x1F3FB, 0x1F400)


def read_emoji(languages: Sequence[str]) -> Dictionary:
    """The names of 1,900 emoji, each complete in 14 languages; a name that two have stays with the first.

    Args:
        languages: BCP 47 codes; those that the package does not have are left out.

    Raises:
        ConfigError: the package is not installed, or has fewer than two of the languages.
    """
    package = import_package("emoji")
    known = [language for language in languages if language.partition("-")[0] in package.LANGUAGES]
    if len(known) < 2:
        raise ConfigError(
            f"The package emoji has names in {', '.join(package.LANGUAGES)}; of {', '.join(languages) or 'none'} that "
            "leaves fewer than two languages."
        )
    for code in {language.partition("-")[0] for language in known} - {"en"}:
        package.config.load_language(code)
    return keep_first(_groups(package.EMOJI_DATA, known))


def _groups(data: Any, languages: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    for sign, names in data.items():
        if any(ord(part) in _SKIN_TONES for part in sign):
            continue  # the same person in another color
        found = {language: names.get(language.partition("-")[0]) for language in languages}
        yield {language: [name.strip(":").replace("_", " ")] for language, name in found.items() if name}
