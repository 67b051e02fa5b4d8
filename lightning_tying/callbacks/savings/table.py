"""What sharing saves, for a terminal: the savings of a run go in, a Rich renderable comes out."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from lightning_tying.reports.reckoning.run_savings import RunSavings
from lightning_tying.reports.tables import Table

MOST_ROWS = 12


def make_table(run: RunSavings) -> RenderableType:
    """The tables, the sentences below them and the summary."""
    *told, summary = run.notes()
    return Group(*(_rich(table) for table in run.tables()), *map(Text, told), Text(summary, style="bold"))


def _rich(table: Table) -> RichTable:
    made = RichTable(title=None, header_style="bold")
    for place, title in enumerate(table.header):
        made.add_column(title, justify="left" if place == 0 else "right", no_wrap=place > 0)
    for row in table.rows[:MOST_ROWS]:
        made.add_row(*(Text(cell) for cell in row))
    left = len(table.rows) - MOST_ROWS
    if left > 0:
        made.add_row(Text(f"and {left} more", style="dim"))
    return made
