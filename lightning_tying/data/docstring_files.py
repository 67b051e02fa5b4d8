"""Docstrings of Python files: files go in, the body and the summary line of each docstring come out; nothing is run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from lightning_tying.data.corpus import CONTEXT_END
from lightning_tying.data.walk import walk
from lightning_tying.errors import ConfigError

BODY, SUMMARY = "body", "summary"
_LEFT_OUT = {"tests", "test", "testing", "__pycache__"}
_SHORTEST, _LONGEST = 3, 24  # words of a summary line
_RULE = re.compile(r"[-=~^]{3,}")  # what underlines the titles of a docstring's sections
_SESSION = re.compile(r"^[ \t]*>>>.*(?:\n[ \t]*\S.*)*", re.MULTILINE)  # input and output up to an empty line


def find_python_files(folder: Path) -> list[Path]:
    """The Python files below a folder, without those of tests and hidden folders.

    Raises:
        ConfigError: the folder cannot be read.
    """
    return [path for path in walk(folder) if path.suffix == ".py" and _is_wanted(path.relative_to(folder))]


def read_docstrings(files: Iterable[tuple[Path, str]]) -> dict[str, dict[str, str]]:
    """The bodies and the summary lines of all docstrings that have both, by one key for the two.

    A key ends with its file's name, which decides the split: what one file says in like words is never in two splits.
    A file that is no Python of this version is left out.

    Args:
        files: each with the name that keys have, `numpy/linalg/_linalg.py`.

    Raises:
        ConfigError: a file cannot be read.
    """
    texts: dict[str, dict[str, str]] = {BODY: {}, SUMMARY: {}}
    for path, name in files:
        for place, docstring in _docstrings(_parse(path)):
            summary, body = split_docstring(docstring)
            if summary and body:
                key = f"{place}{CONTEXT_END}{name}"
                texts[BODY].setdefault(key, body)
                texts[SUMMARY].setdefault(key, summary)
    return texts


def split_docstring(docstring: str) -> tuple[str, str]:
    """The summary line and the rest, each on one line of text; "" for a summary that is no short sentence.

    Interpreter sessions (a prompt up to the next empty line) and the rules under titles are left out of the rest.

    Args:
        docstring: without its indentation.
    """
    head, _, rest = docstring.strip().partition("\n\n")
    words = head.split()
    summary = " ".join(words) if _SHORTEST <= len(words) <= _LONGEST and not _RULE.search(head) else ""
    kept = (line for line in _SESSION.sub("", rest).splitlines() if not _RULE.fullmatch(line.strip()))
    return _encodable(summary), _encodable(" ".join(" ".join(kept).split()))


def _parse(path: Path) -> ast.Module:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"data: {path} cannot be read: {error.strerror}.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes that Python will refuse one day
            return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # templates, other Pythons, hostile nesting
        return ast.Module([], [])


def _docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The docstrings of a file with the dotted names of what they describe; the file itself is ""."""
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        place, node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            place = f"{place}.{node.name}" if place else node.name
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield place, docstring
        inside = [(place, child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
        waiting.extend(reversed(inside))


def _is_wanted(path: Path) -> bool:
    return not any(part in _LEFT_OUT or part.startswith(".") for part in path.parts[:-1])


def _encodable(text: str) -> str:
    """The text without lone surrogates, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode()
