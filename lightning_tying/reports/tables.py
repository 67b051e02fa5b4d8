"""Rows of texts in, a plain, Markdown or HTML table out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Table:
    """A table whose first column is a name and whose other columns are numbers.

    Args:
        header: the columns' titles.
        rows: as many texts in each as there are titles.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_text(self) -> str:
        """Columns with two spaces between them, a rule below the titles."""
        widths = [max(len(row[column]) for row in (self.header, *self.rows)) for column in range(len(self.header))]
        lines = [_line(self.header, widths), "  ".join("-" * width for width in widths)]
        return "\n".join([*lines, *(_line(row, widths) for row in self.rows)])

    def to_markdown(self) -> str:
        """A table of GitHub's Markdown."""
        rule = ["---", *("---:" for _ in self.header[1:])]
        rows = (tuple(cell.replace("|", "\\|") for cell in row) for row in self.rows)
        return "\n".join(f"| {' | '.join(row)} |" for row in (self.header, tuple(rule), *rows))

    def to_html(self) -> str:
        """A `<table>` without styles of its own."""
        head = "".join(f"<th>{escape(title)}</th>" for title in self.header)
        body = "".join(_html_row(row) for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join([row[0].ljust(widths[0]), *numbers]).rstrip()


def _html_row(row: Sequence[str]) -> str:
    first, *numbers = row
    cells = "".join(f'<td align="right">{escape(cell)}</td>' for cell in numbers)
    return f"<tr><td>{escape(first)}</td>{cells}</tr>"
