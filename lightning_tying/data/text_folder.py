"""Reading of plain text files: a folder or a file goes in, the messages of each language by key come out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from lightning_tying.data.languages import is_language_code, to_bcp47
from lightning_tying.errors import ConfigError

MAKE_FOLDER = "one file per language is expected, de.txt, fr.txt, …, one text a line"


def find_language_files(folder: Path) -> dict[str, Path]:
    """The files `{language}.txt` of a folder by BCP 47 code, sorted.

    Raises:
        ConfigError: the folder cannot be read, or holds no such file.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".txt" and is_language_code(path.stem))
    except OSError as error:
        raise ConfigError(f"data.folder: {folder} cannot be read ({error.strerror}); {MAKE_FOLDER}.") from error
    if not paths:
        raise ConfigError(f"data.folder: {folder} holds no text files; {MAKE_FOLDER}.")
    return {to_bcp47(path.stem): path for path in paths}


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file that are not blank.

    Raises:
        ConfigError: the file cannot be read, or is no UTF-8.
    """
    try:
        # only line feeds end a line: splitlines would also cut at form feeds and U+2028
        lines = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n").split("\n")
    except OSError as error:
        raise ConfigError(f"data: {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"data: {path} is no UTF-8 text ({error}); convert it first.") from error
    return [line for line in lines if line.strip()]


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """The messages of a table of translations by language; equal keys are translations of each other.

    A `.tsv` has the languages' codes in its first line and one message in each further line; a `.jsonl` has one object
    a line, `{"en": "…", "de": "…"}`. A cell may be empty. The key is the text of the first column.

    Raises:
        ConfigError: the file cannot be read, has another ending, or a line that does not fit.
    """
    readers = {".tsv": _read_tsv, ".jsonl": _read_jsonl}
    if path.suffix not in readers:
        raise ConfigError(f"data.pairs: {path} must end in .tsv or .jsonl.")
    messages: dict[str, dict[str, str]] = {}
    for row in readers[path.suffix](path):
        key = next(iter(row.values()), "")
        for language, text in row.items():
            cells = messages.setdefault(to_bcp47(language), {})
            if text.strip() and key.strip():
                cells.setdefault(key, text)
    if not any(messages.values()):
        raise ConfigError(f"data.pairs: {path} holds no messages.")
    return messages


def _read_tsv(path: Path) -> Iterator[dict[str, str]]:
    lines = read_lines(path)
    header = lines[0].split("\t") if lines else []
    bad = [code for code in header if not is_language_code(code.strip())]
    if len(header) < 2 or bad:
        raise ConfigError(f"data.pairs: the first line of {path} must be language codes between tabs, such as en, de.")
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(header):
            raise ConfigError(f"data.pairs: {path}: row {number} has {len(cells)} cells, the first has {len(header)}.")
        yield dict(zip((code.strip() for code in header), cells, strict=True))


def _read_jsonl(path: Path) -> Iterator[dict[str, str]]:
    for number, line in enumerate(read_lines(path), start=1):
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"data.pairs: {path}: row {number} is no JSON: {error}.") from error
        if not isinstance(row, dict):
            raise ConfigError(f'data.pairs: {path}: row {number} must be an object, {{"en": "…", "de": "…"}}.')
        cells = cast("dict[str, Any]", row)
        bad = [name for name, text in cells.items() if not (is_language_code(name) and isinstance(text, str))]
        if bad:
            raise ConfigError(f"data.pairs: {path}: row {number}: {bad[0]!r} must be a language code with a text.")
        yield cells
