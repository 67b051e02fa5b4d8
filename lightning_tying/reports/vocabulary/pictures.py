"""The figures of a vocabulary in; bars of premiums and heat maps of pairs, as matplotlib figures, out."""

# pyright: reportUnknownMemberType=false
# matplotlib's own annotations are partial.

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from lightning_tying.reports.drawing import COLORS, make_figure
from lightning_tying.reports.vocabulary.figures import VocabularyFigures

MOST_LABELS = 40
MOST_CELLS = 12  # languages up to which the cells hold numbers


def draw_premiums(figures: VocabularyFigures) -> Figure:
    """Bars of the premiums, the dearest language on top; bytes for each token where there are no premiums."""
    priced = figures.reference is not None
    told = {each.language: each.premium if priced else each.bytes_per_token for each in figures.languages}
    bars = sorted(((value, language) for language, value in told.items() if value is not None), reverse=not priced)
    values, languages = [value for value, _ in bars], [language for _, language in bars]
    figure = make_figure(6.4, 1.2 + 0.2 * len(bars))
    axes = figure.add_subplot()
    axes.barh(range(len(bars)), values, color=COLORS[0], height=0.7)
    axes.set_yticks(range(len(bars)), languages, fontsize=8)
    for place, value in enumerate(values):
        axes.text(value, place, f" {value:.2f}", va="center", fontsize=7)
    if priced:
        axes.axvline(1, color=COLORS[1], linewidth=1, linestyle="--")
    axes.set_xlabel(f"tokens where {figures.reference} has 1" if priced else "bytes for each token")
    axes.margins(x=0.12, y=0.01)
    axes.set_title("Premium" if priced else "Bytes for each token", fontsize=10)
    return figure


def draw_divergences(figures: VocabularyFigures, order: Sequence[str]) -> Figure:
    """Heat map of Jensen–Shannon divergences: dark pairs use the same rows equally often.

    Args:
        figures: of a vocabulary with at least one pair.
        order: of the languages.
    """
    cells = {pair.languages: pair.divergence for pair in figures.pairs}
    return _draw_pairs(cells, order, 0.0, "viridis_r", "Jensen–Shannon divergence (0 alike, 1 nothing in common)")


def draw_shared(figures: VocabularyFigures, order: Sequence[str]) -> Figure:
    """Heat map of the share of running tokens on shared rows.

    Args:
        figures: of a vocabulary with at least one pair.
        order: of the languages.
    """
    cells = {pair.languages: pair.running for pair in figures.pairs}
    return _draw_pairs(cells, order, 1.0, "viridis", "Running tokens on shared rows")


def order_languages(figures: VocabularyFigures) -> list[str]:
    """The languages so that those that are alike stand side by side: each is followed by the nearest that is left."""
    near = {pair.languages: pair.divergence for pair in figures.pairs}
    left = [each.language for each in figures.languages]
    order = [figures.reference if figures.reference in left else left[0]]
    left.remove(order[0])
    while left:
        last = order[-1]
        distances = {each: near.get((last, each), near.get((each, last), 1.0)) for each in left}
        order.append(min(left, key=distances.__getitem__))
        left.remove(order[-1])
    return order


def _draw_pairs(
    cells: Mapping[tuple[str, str], float], order: Sequence[str], same: float, colors: str, title: str
) -> Figure:
    place = {language: number for number, language in enumerate(order)}
    grid = np.full((len(order), len(order)), np.nan)
    np.fill_diagonal(grid, same)
    for (one, other), value in cells.items():
        grid[place[one], place[other]] = grid[place[other], place[one]] = value
    side = min(8.0, 2.6 + 0.24 * len(order))
    figure = make_figure(side + 1.0, side)
    axes = figure.add_subplot()
    shades = matplotlib.colormaps[colors].with_extremes(bad="#bbbbbb")
    figure.colorbar(axes.imshow(grid, cmap=shades, vmin=0, vmax=1), ax=axes, fraction=0.046, pad=0.04)
    places = range(0, len(order), -(-len(order) // MOST_LABELS))
    labels = [order[number] for number in places]
    axes.set_xticks(places, labels, rotation=90, fontsize=8)
    axes.set_yticks(places, labels, fontsize=8)
    if len(order) <= MOST_CELLS:
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                dark = (value > 0.5) == colors.endswith("_r")
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w" if dark else "k")
    axes.set_title(title, fontsize=10)
    return figure
