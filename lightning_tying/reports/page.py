"""The look of every report: a title and what is on the page go in; a whole HTML page that opens alone comes out."""

from __future__ import annotations

import base64
import re
from html import escape
from pathlib import Path

from lightning_tying.whole_files import write_together

# Nothing runs and nothing is fetched: no font, no script, no style sheet, no other file.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
h1, h2, h3 { line-height: 1.25 }
h3, td:first-child { overflow-wrap: anywhere }
section { border-top: 1px solid #8888; margin-top: 2rem }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid #8884; padding: .25rem .75rem; text-align: right; vertical-align: top }
th { font-weight: 600 }
th:first-child, td:first-child { text-align: left }
.wide { overflow-x: auto }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px }
.summary { font-weight: 600 }
.note { border-left: 4px solid #e69f00; padding-left: .75rem }
"""


def page(title: str, body: str) -> str:
    """Wrap a body; the page's own policy forbids scripts and every request.

    Args:
        title: plain text.
        body: HTML, escaped where it has to be.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    )


def write_sentence(sentence: str) -> str:
    """A sentence as HTML; what stands between backticks is code.

    Args:
        sentence: plain text.
    """
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(sentence))


def wide(content: str) -> str:
    """HTML that scrolls by itself where it is wider than the page.

    Args:
        content: a table or a picture.
    """
    return f'<div class="wide">{content}</div>'


def picture(svg: str, told: str) -> str:
    """A picture that lies in the page itself.

    Args:
        svg: its text.
        told: what it shows, for who does not see it.
    """
    content = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{escape(told)}" src="data:image/svg+xml;base64,{content}">'


def write_page(text: str, path: Path) -> None:
    """Write a text whole or not at all.

    Args:
        text: of the page.
        path: the file; its folder is made.

    Raises:
        ConfigError: the file cannot be written; one that was there is as it was.
    """
    write_together({path: text.encode()})
