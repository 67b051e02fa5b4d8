"""A table of a report in, one for a terminal out."""

from __future__ import annotations

from rich.table import Table as RichTable
from rich.text import Text

from lightning_tying.reports.tables import Table


def to_rich(table: Table, most: int | None = None) -> RichTable:
    """The table as Rich draws it.

    Args:
        table: any.
        most: rows that are shown; of the others their number. None for all.
    """
    made = RichTable(title=None, header_style="bold")
    for place, title in enumerate(table.header):
        made.add_column(title, justify="left" if place == 0 else "right", no_wrap=place > 0)
    for row in table.rows[:most]:
        made.add_row(*(Text(cell) for cell in row))
    left = 0 if most is None else len(table.rows) - most
    if left > 0:
        made.add_row(Text(f"and {left} more", style="dim"))
    return made
