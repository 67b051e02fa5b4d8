"""Dictionaries in tables: the path of a .tsv file goes in, groups of words come out; mistakes name file and line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries.dictionary import Dictionary, word_form

BETWEEN = "|"  # between several words of one language


def read_tsv(path: str | os.PathLike[str]) -> Dictionary:
    """Read a table: the first line has the languages' codes, every other line is a group; cells may be empty.

    Several words of one language stand in one cell with `|` between them. Empty lines and lines that begin with `#`
    are left out.

    Raises:
        ConfigError: the file cannot be read, is not UTF-8, has NUL bytes, a line with another number of cells, or a
            word in two groups.
    """
    lines = _read_lines(Path(path))
    number, header = next(lines, (0, ""))
    languages = [cell.strip() for cell in header.split("\t")]
    where = f"{os.fspath(path)}:{number or 1}"
    if len(languages) < 2 or not all(languages):
        raise ConfigError(f"{where}: the first line of a dictionary has the codes of two or more languages, with tabs.")
    twice = [language for language in languages if languages.count(language) > 1]
    if twice:
        raise ConfigError(
            f"{where}: the language {twice[0]!r} has two columns; put its words in one, with `|` between."
        )
    groups: list[dict[str, tuple[str, ...]]] = []
    first: dict[tuple[str, str], int] = {}
    for number, line in lines:
        group = _read_group(f"{os.fspath(path)}:{number}", line, languages)
        for language, words in group.items():
            for word in words:
                if (known := first.setdefault((language, word), number)) != number:
                    raise ConfigError(
                        f"{os.fspath(path)}:{number}: the word {word!r} ({language}) is in line {known} already; a "
                        "word can share one row only. Join the two lines, or take it out of one."
                    )
        groups.append(group)
    if not groups:
        raise ConfigError(f"{os.fspath(path)}: the dictionary has no groups of words, only its first line.")
    return tuple(groups)


def _read_group(where: str, line: str, languages: list[str]) -> dict[str, tuple[str, ...]]:
    cells = line.split("\t")
    if len(cells) != len(languages):
        raise ConfigError(f"{where}: {len(cells)} cells, and the first line names {len(languages)} languages.")
    words = {
        language: tuple(dict.fromkeys(form for word in cell.split(BETWEEN) if (form := word_form(word))))
        for language, cell in zip(languages, cells, strict=True)
    }
    return {language: own for language, own in words.items() if own}


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"The dictionary {path} cannot be read: {error.strerror or error}.") from error
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r")
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{path}:{number}: the line is not UTF-8 (byte {error.start}); save the file as UTF-8."
            ) from None
        if "\0" in text:
            raise ConfigError(f"{path}:{number}: the line has a NUL byte; a dictionary is a text file.")
        if text.strip() and not text.startswith("#"):
            yield number, text
