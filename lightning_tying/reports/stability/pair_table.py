"""Summaries of groups of one family in; how often each two of their layers (or uses) conflict out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from lightning_tying.reports.stability.summary import GroupSummary, mean_of
from lightning_tying.reports.stability.use_names import Numbering, number_uses


@dataclass(frozen=True)
class Pair:
    """Two uses, or the uses at two layers, over all samples and groups.

    Args:
        names: of the two, as a sentence tells them: `layers 0 and 11`.
        numbers: their layers; None where uses are not numbered.
        conflict: share of the samples with a cosine below 0.
        cosine: the mean.
        error: its standard error.
    """

    names: str
    numbers: tuple[int, int] | None
    conflict: float
    cosine: float
    error: float


def list_pairs(summaries: Sequence[GroupSummary]) -> list[Pair]:
    """Every pair of uses whose cosine was measured; those of several groups at the same layers are one pair.

    Args:
        summaries: of one group, or of several whose uses are numbered alike.
    """
    found: dict[str, list[tuple[tuple[int, int] | None, float, float, float]]] = {}
    for summary in summaries:
        if summary.cosines is None or summary.conflicts is None or summary.errors is None:
            continue
        numbering = number_uses(summary.uses)
        for one, other in combinations(range(len(summary.uses)), 2):
            names, numbers = _name(summary, numbering, one, other)
            cells = summary.conflicts[one][other], summary.cosines[one][other], summary.errors[one][other]
            found.setdefault(names, []).append((numbers, *cells))
    return [_join(names, cells) for names, cells in found.items()]


def _join(names: str, cells: Sequence[tuple[tuple[int, int] | None, float, float, float]]) -> Pair:
    numbers, conflicts, cosines, errors = zip(*cells, strict=True)
    error = math.sqrt(mean_of(each**2 for each in errors) / len(errors))
    return Pair(names, numbers[0], mean_of(conflicts), mean_of(cosines), error)


def _name(
    summary: GroupSummary, numbering: Numbering | None, one: int, other: int
) -> tuple[str, tuple[int, int] | None]:
    if numbering is None:
        return f"{summary.uses[one]} and {summary.uses[other]}", None
    low, high = sorted((numbering.numbers[one], numbering.numbers[other]))
    return numbering.tell(low, high), (low, high)
