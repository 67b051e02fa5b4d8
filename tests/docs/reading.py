"""Pages go in; their tables and blocks come out, and the texts of the package's source to compare them with."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LANGUAGE = ROOT / "docs" / "reference" / "language.md"
ERRORS = ROOT / "docs" / "errors.md"


def read_section(page: Path, title: str) -> str:
    """The text below the heading that begins with `title`, up to the next one of its level."""
    text = page.read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {re.escape(title)}[^\n]*\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return found


def read_rows(text: str) -> Iterator[list[str]]:
    """The rows of all tables, as what a reader sees; marks of code are kept as backticks."""
    for line in text.splitlines():
        if not line.startswith("|") or set(line) <= set("|- "):
            continue
        cells = re.split(r"\|(?=(?:[^`]*`[^`]*`)*[^`]*$)", line.strip().strip("|"))
        yield [html.unescape(re.sub(r"</?code>", "`", cell)).strip() for cell in cells]


def read_yaml_blocks(text: str) -> list[str]:
    return re.findall(r"^```yaml[^\n]*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def read_messages() -> dict[str, str]:
    """From number to message of the language's table of errors."""
    rows = read_rows(read_section(LANGUAGE, "12. Errors"))
    return {cells[0]: cells[2] for cells in rows if cells[0].isdigit()}


def read_error_rows() -> list[str]:
    """The first column of every table of messages in errors.md, without its marks of code."""
    first = [cells[0].strip("`") for cells in read_rows(ERRORS.read_text(encoding="utf-8"))]
    return [message for message in first if "…" in message or "." in message]


def to_pattern(message: str) -> re.Pattern[str]:
    """A message of errors.md as a pattern for `search`: `…` is anything."""
    parts = [re.escape(part) for part in message.removesuffix("…").rstrip().split("…")]
    return re.compile(".*?".join(parts), re.DOTALL)


def read_source_texts() -> set[str]:
    """Every text in the package's source, `…` in place of what an f-string puts in."""
    texts: set[str] = set()
    for path in (ROOT / "lightning_tying").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                pieces = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                texts.add("".join(pieces))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    return texts
