"""Reading of plain text files: a folder or a file goes in, the messages of each language by key come out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from lightning_tying.data.languages import is_language_code, to_bcp47
from lightning_tying.errors import ConfigError

MAX_LINE = 1_000_000  # characters: more is a file without line ends
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
    files: dict[str, Path] = {}
    for path in paths:
        other = files.setdefault(to_bcp47(path.stem), path)
        if other is not path:
            raise ConfigError(
                f"data.folder: {other} and {path} are both the language {to_bcp47(path.stem)!r}; keep one of them."
            )
    return files


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file that are not blank.

    Raises:
        ConfigError: the file cannot be read, or has a line that is no UTF-8, has a NUL byte, or is too long.
    """
    return [line for _, line in _number_lines(path)]


def _number_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, each with its number in the file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"data: {path} cannot be read: {error.strerror}.") from error
    try:
        # only line feeds end a line: splitlines would also cut at form feeds and U+2028
        lines = content.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        place = f"{path}:{_line_at(content, error.start)}"
        raise ConfigError(
            f"data: {place} is no UTF-8 text (byte {error.start + 1} of the file); convert it first."
        ) from error
    if b"\0" in content:
        place = f"{path}:{_line_at(content, content.index(0))}"
        raise ConfigError(f"data: {place} has a NUL byte, so it is no text; leave the line out.")
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE:
            raise ConfigError(
                f"data: {path}:{number} has {len(line):,} characters, more than {MAX_LINE:,}; one text a line is "
                "expected. Break it up."
            )
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _line_at(content: bytes, place: int) -> int:
    return content.count(b"\n", 0, place) + 1


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
    lines = _number_lines(path)
    header = [code.strip() for code in lines[0][1].split("\t")] if lines else []
    bad = [code for code in header if not is_language_code(code)]
    if len(header) < 2 or bad:
        raise ConfigError(f"data.pairs: the first line of {path} must be language codes between tabs, such as en, de.")
    codes = [to_bcp47(code) for code in header]
    twice = next((code for code in codes if codes.count(code) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"data.pairs: {path}:{lines[0][0]} has two columns of the language {twice!r}; keep one of them."
        )
    for number, line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(header):
            raise ConfigError(f"data.pairs: {path}: row {number} has {len(cells)} cells, the first has {len(header)}.")
        yield dict(zip(codes, cells, strict=True))


def _read_jsonl(path: Path) -> Iterator[dict[str, str]]:
    for number, line in _number_lines(path):
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
