"""The table of what is supported says nothing that the repository does not show."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/support.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("|") and not set(line) <= set("|- ")]
STRATEGIES = [
    row
    for row in ROWS[1:]
    if re.search(r"\| (tested|untested|refused)", row) and row.count("|") == 4 and "allowed" not in row
]


def test_there_are_rows_of_all_three_kinds() -> None:
    for word in ("tested", "untested", "refused"):
        assert any(f"| {word}" in row for row in STRATEGIES)


@pytest.mark.parametrize("row", STRATEGIES)
def test_a_tested_or_refused_row_names_tests_that_exist(row: str) -> None:
    _, _, state, tests, _ = (cell.strip() for cell in row.split("|"))
    files = re.findall(r"`(tests/[^`]+)`", tests)
    assert bool(files) == state.startswith(("tested", "refused"))
    for file in files:
        assert "def test_" in (ROOT / file).read_text(encoding="utf-8")


def test_every_file_that_the_page_names_exists() -> None:
    for file in re.findall(r"`(tests/[^`]+\.py)`", PAGE):
        assert (ROOT / file).is_file(), file


def test_the_versions_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    written = "\n".join(project["dependencies"])
    floors: list[tuple[str, str]] = re.findall(r"^(torch|lightning)>=([\d.]+)", written, re.MULTILINE)
    assert len(floors) == 2
    for name, floor in floors:
        pinned = re.search(rf"^{name}==([\d.]+)", pins, re.MULTILINE)
        assert pinned is not None
        assert re.search(rf"^\| {name} \| {re.escape(pinned[1])} \| {re.escape(floor)}", PAGE, re.MULTILINE), name
    assert f"| Python | 3.11 | {project['requires-python'].removeprefix('>=')} |" in PAGE
