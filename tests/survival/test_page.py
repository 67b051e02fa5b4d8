"""The page in the documentation is what the table gives today."""

from __future__ import annotations

from tests.survival.cases import KINDS
from tests.survival.make_page import LEGEND, PAGE, make_page
from tests.survival.operation import Outcome
from tests.survival.table import SECTIONS


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == make_page(), "run python -m tests.survival.make_page"


def test_every_outcome_is_explained() -> None:
    assert set(LEGEND) == set(Outcome)


def test_every_row_has_a_cell_for_each_kind() -> None:
    assert all(len(row.cells) == len(KINDS) for rows in SECTIONS.values() for row in rows)


def test_refused_and_detected_cells_ask_for_words() -> None:
    asked = [cell for rows in SECTIONS.values() for row in rows for cell in row.cells]
    assert all(cell.words for cell in asked if cell.outcome in (Outcome.REFUSED, Outcome.DETECTED))
