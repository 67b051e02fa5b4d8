"""What sharing saves in a run, and pictures of its sharing graphs, in; a page that opens alone in a browser out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lightning_tying.reports.reckoning.run_savings import RunSavings

# Nothing is fetched: no font, no script, no style sheet.
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #1c2030;
  background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid #d9dbe3; padding: .25rem .7rem; white-space: nowrap }
th { text-align: right } th:first-child { text-align: left }
.summary { font-weight: 600 }
"""


def make_page(run: RunSavings, pictures: Sequence[str]) -> str:
    """The whole page, as HTML.

    Args:
        run: what is saved.
        pictures: SVG elements.
    """
    tables = "".join(f'<div class="wide">{table.to_html()}</div>' for table in run.tables())
    *told, summary = run.notes()
    sentences = "".join(f"<p>{escape(note)}</p>" for note in told)
    drawn = "".join(f'<div class="wide">{picture}</div>' for picture in pictures)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>What sharing saves</title>\n<style>{_STYLE}</style>\n"
        f'<h1>What sharing saves</h1>\n<p class="summary">{escape(summary)}</p>\n{tables}\n{sentences}\n'
        f"<h2>Who reads what</h2>\n{drawn}\n</html>\n"
    )
