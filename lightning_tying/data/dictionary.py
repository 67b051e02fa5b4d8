"""Dictionaries by name: emoji, babel, induced or a file go in, groups of words that mean the same come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries import Dictionary, induce, read_babel, read_emoji, read_tsv


def load_dictionary(name: str, languages: Sequence[str], parallel: Mapping[str, Mapping[str, str]]) -> Dictionary:
    """The words of the languages that mean the same; words of other languages are left out.

    Args:
        name: "emoji", "babel", "induced", or the path of a .tsv file.
        languages: BCP 47 codes.
        parallel: language → key → text, for "induced".

    Raises:
        ConfigError: a package or file is missing, or the file is wrong.
    """
    if name == "emoji":
        return read_emoji(languages)
    if name == "babel":
        return read_babel(languages)
    if name == "induced":
        return induce(parallel)
    if not name.endswith(".tsv"):
        raise ConfigError(f"data.recipe.dictionary is {name!r}; it must be emoji, babel, induced, or a .tsv file.")
    return _only(read_tsv(Path(name).expanduser()), languages)


def dictionary_stamp(name: str | None) -> str | None:
    """What makes two dictionaries of one name differ: the file's content; None for those of packages.

    Raises:
        ConfigError: the file cannot be read.
    """
    if name is None or not name.endswith(".tsv"):
        return None
    try:
        return Path(name).expanduser().read_bytes().hex()
    except OSError as error:
        raise ConfigError(f"data.recipe.dictionary: {name} cannot be read: {error.strerror}.") from error


def _only(dictionary: Dictionary, languages: Sequence[str]) -> Dictionary:
    groups = ({code: words for code, words in group.items() if code in languages} for group in dictionary)
    return tuple(group for group in groups if len(group) > 1)
