"""Figures of matplotlib that belong to no window: a size goes in, a figure comes out, and its SVG."""

# pyright: reportUnknownMemberType=false
# matplotlib's own annotations are partial.

from __future__ import annotations

import io

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")  # Okabe and Ito


def make_figure(width: float, height: float) -> Figure:
    """A figure that belongs to no window system and no global state.

    Args:
        width: inches.
        height: inches.
    """
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def write_svg(figure: Figure) -> str:
    """The figure as SVG: the same bytes for the same numbers. Its letters are text, in a font that the reader has.

    Args:
        figure: any.
    """
    with matplotlib.rc_context({"svg.hashsalt": "lightning_tying", "svg.fonttype": "none"}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
