"""What sharing saves in a run, and pictures of its sharing graphs, in; a page that opens alone in a browser out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lightning_tying.reports.page import page, wide
from lightning_tying.reports.reckoning.run_savings import RunSavings


def make_page(run: RunSavings, pictures: Sequence[str]) -> str:
    """The whole page, as HTML.

    Args:
        run: what is saved.
        pictures: SVG elements.
    """
    tables = "".join(wide(table.to_html()) for table in run.tables())
    *told, summary = run.notes()
    sentences = "".join(f"<p>{escape(note)}</p>" for note in told)
    drawn = "".join(wide(each) for each in pictures)
    body = f'<p class="summary">{escape(summary)}</p>\n{tables}\n{sentences}\n<h2>Who reads what</h2>\n{drawn}\n'
    return page("What sharing saves", body)
