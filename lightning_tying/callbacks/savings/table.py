"""What sharing saves, for a terminal: the savings of a run go in, a Rich renderable comes out."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from lightning_tying.reports.reckoning.run_savings import RunSavings
from lightning_tying.reports.rich_tables import to_rich

MOST_ROWS = 12


def make_table(run: RunSavings) -> RenderableType:
    """The tables, the sentences below them and the summary."""
    *told, summary = run.notes()
    return Group(*(to_rich(table, MOST_ROWS) for table in run.tables()), *map(Text, told), Text(summary, style="bold"))
