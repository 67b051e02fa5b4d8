"""Records of one sharing group in; a heat map of cosines and a timeline, as matplotlib figures, out."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# matplotlib's own annotations are partial.

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from lightning_tying.reports.drawing import COLORS, make_figure
from lightning_tying.reports.stability.record import Record
from lightning_tying.reports.stability.summary import Matrix
from lightning_tying.reports.stability.use_names import number_uses

DASHES = ("-", "--", "-.", ":")  # lines differ in more than color
MARKERS = "osD^v<>P"
MOST_LINES = 8  # uses that have a line of their own
MOST_LABELS = 24  # uses that have a label in the heat map
MOST_CELLS = 12  # uses up to which the cells hold numbers
LONGEST = 34  # letters of a label


def draw_cosines(cosines: Matrix, uses: Sequence[str], title: str) -> Figure:
    """Heat map of the cosines of each two uses: orange agrees, purple conflicts, white has nothing in common.

    Args:
        cosines: K × K, -1 to 1; NaN is gray.
        uses: the K names.
        title: of the picture.
    """
    count = len(uses)
    side = min(7.5, 2.6 + 0.34 * count)
    figure = make_figure(side + 1.6, side)
    axes = figure.add_subplot()
    colors = matplotlib.colormaps["PuOr_r"].with_extremes(bad="#bbbbbb")
    image = axes.imshow([list(row) for row in cosines], cmap=colors, vmin=-1, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="cosine", fraction=0.046, pad=0.04)
    every = math.ceil(count / MOST_LABELS)
    places = list(range(0, count, every))
    labels = label_uses(uses)
    names = [labels[place] for place in places]
    axes.set_xticks(places, names, rotation=55, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    if count <= MOST_CELLS:
        _write_cells(axes, cosines)
    axes.set_title(title, fontsize=10)
    return figure


def draw_timeline(records: Sequence[Record], title: str) -> Figure:
    """Coherence and conflict rate over the steps, and below them the norm of each use (log scale).

    Of more than eight uses the seven of the largest last norm have a line each; the others are a band.

    Args:
        records: of one group, by step.
        title: of the picture.
    """
    figure = make_figure(7.2, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [record.step for record in records]
    _plot(upper, steps, [record.kappa for record in records], 0, "coherence κ")
    if any(math.isfinite(record.conflict) for record in records):
        _plot(upper, steps, [record.conflict for record in records], 1, "conflict rate")
    alone = 1 / len(records[-1].uses)
    upper.axhline(alone, color="#777777", linewidth=0.8, linestyle=(0, (1, 2)), label=f"1 / K = {alone:.2g}")
    upper.set_ylim(-0.03, 1.03)
    upper.set_title(title, fontsize=10)
    _draw_norms(lower, records)
    _mark_nonfinite((upper, lower), records)
    lower.set_xlabel("step")
    lower.set_ylabel("norm of gradient")
    for axes in (upper, lower):
        axes.grid(color="#dddddd", linewidth=0.5)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=7, frameon=False)
    return figure


def label_uses(uses: Sequence[str]) -> list[str]:
    """`layers.3` where the uses differ in that number alone; else their names, the middle of long ones left out."""
    numbering = number_uses(uses)
    if numbering is None:
        return [_shorten(use) for use in uses]
    return [numbering.label(number) for number in numbering.numbers]


def _shorten(name: str) -> str:
    if len(name) <= LONGEST:
        return name
    half = (LONGEST - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _write_cells(axes: Any, cosines: Matrix) -> None:
    for row, cells in enumerate(cosines):
        for column, cell in enumerate(cells):
            if math.isfinite(cell):
                color = "white" if abs(cell) > 0.6 else "black"
                axes.text(
                    column,
                    row,
                    f"{cell:.2f}".replace("-0.00", "0.00"),
                    ha="center",
                    va="center",
                    fontsize=7,
                    color=color,
                )


def _plot(axes: Any, steps: Sequence[int], numbers: Sequence[float], place: int, label: str) -> None:
    style = {"color": COLORS[place % len(COLORS)], "linestyle": DASHES[place % len(DASHES)]}
    marker = MARKERS[place % len(MARKERS)] if len(steps) <= 40 else ""
    axes.plot(steps, numbers, label=label, linewidth=1.3, marker=marker, markersize=3, **style)


def _draw_norms(axes: Any, records: Sequence[Record]) -> None:
    uses = records[-1].uses
    labels = label_uses(uses)
    alike = [record for record in records if record.uses == uses]
    steps = [record.step for record in alike]
    columns = [_above_zero(column) for column in zip(*(record.norms for record in alike), strict=True)]
    order = sorted(range(len(uses)), key=lambda use: -(columns[use][-1] if columns[use][-1] > 0 else 0))
    shown = order if len(order) <= MOST_LINES else order[: MOST_LINES - 1]
    for place, use in enumerate(shown):
        _plot(axes, steps, columns[use], place, labels[use])
    others = [columns[use] for use in order[len(shown) :]]
    if others:
        low = [min(cells) for cells in zip(*others, strict=True)]
        high = [max(cells) for cells in zip(*others, strict=True)]
        axes.fill_between(steps, low, high, color="#bbbbbb", alpha=0.6, label=f"{len(others)} more uses")
    if any(cell > 0 for column in columns for cell in column):
        axes.set_yscale("log")


def _above_zero(norms: Sequence[float]) -> list[float]:
    return [norm if norm > 0 and math.isfinite(norm) else math.nan for norm in norms]


def _mark_nonfinite(both: Sequence[Any], records: Sequence[Record]) -> None:
    label: str | None = "not finite"
    for record in records:
        if not record.finite:
            for axes in both:
                axes.axvline(record.step, color="#D55E00", linewidth=1.0, alpha=0.7, label=label)
            label = None
