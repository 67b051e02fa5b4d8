"""docs/errors.md knows every message of the golden files, and none that does not exist."""

from __future__ import annotations

import functools

import pytest
import yaml

from tests.docs.reading import ROOT, read_error_rows, read_messages, read_source_texts, to_pattern

ROWS = read_error_rows()
PATTERNS = [to_pattern(row) for row in ROWS]
SOURCE = read_source_texts()


def read_golden_messages() -> list[str]:
    files = sorted((ROOT / "tests" / "golden").glob("*_errors.yaml"))
    return [case["message"] for path in files for case in yaml.safe_load(path.read_text(encoding="utf-8"))]


@functools.cache
def read_known_messages() -> tuple[str, ...]:
    """Those of the golden files, and of the language's whole table."""
    table = (part for message in read_messages().values() for part in message.split(" · "))
    return tuple(message.replace("`", "") for message in (*read_golden_messages(), *table))


@pytest.mark.parametrize("message", read_golden_messages())
def test_every_golden_message_is_explained(message: str) -> None:
    plain = message.replace("`", "")
    assert any(pattern.search(plain) for pattern in PATTERNS), message


@pytest.mark.parametrize("row", ROWS)
def test_every_explained_message_exists(row: str) -> None:
    """It is one that is known, or its longest piece stands in the source."""
    if any(to_pattern(row).search(message) for message in read_known_messages()):
        return
    longest = max(row.split("…"), key=len).strip()
    assert any(longest in text.replace("`", "") for text in SOURCE), row
