"""A report goes in; it is printed, with tables of Rich on a terminal, or stands in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from lightning_tying.errors import ConfigError
from lightning_tying.reports.page import write_page
from lightning_tying.reports.rich_tables import to_rich
from lightning_tying.reports.tables import Table

FORMATS = ("text", "json", "md", "html")


def put_out(content: str, target: Path | None) -> None:
    """Print a report, or write it whole or not at all and say where.

    Args:
        content: of the report.
        target: the file; None for standard output.

    Raises:
        ConfigError: the file cannot be written.
    """
    if target is None:
        print(content)
        return
    if target.is_dir():
        raise ConfigError(f"{target} is a folder; --output names a file.")
    write_page(content if content.endswith("\n") else f"{content}\n", target)
    print(f"written: {target} ({target.stat().st_size:,} bytes)")


def show_tables(tables: Iterable[tuple[str, Table]], sentences: Iterable[str]) -> bool:
    """Show tables with Rich, where standard output is a terminal that can.

    Args:
        tables: with their headings.
        sentences: below them.

    Returns:
        Whether they were shown.
    """
    console = Console(file=sys.stdout)
    if not console.is_terminal or console.is_dumb_terminal:
        return False
    for heading, table in tables:
        console.print(heading, style="bold", markup=False)
        console.print(to_rich(table))
    for sentence in sentences:
        console.print(f"- {sentence}", markup=False, highlight=False)
    return True
