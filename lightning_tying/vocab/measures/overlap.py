"""What two languages share: how often each uses which row goes in; divergence, coverage and shares come out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightning_tying.vocab.measures.usage import Counts


@dataclass(frozen=True)
class Overlap:
    """Two languages by the rows that they use.

    Args:
        divergence: Jensen–Shannon divergence of the tokens' distributions, base 2: 0 alike, 1 nothing in common.
        coverage: the share of the first language's rows that the second has too, and the other way round.
        running: the share of both languages' running tokens, each language one half, that lie on a shared row.
        saved: the share of rows that one table saves against one table for each language.
    """

    divergence: float
    coverage: tuple[float, float]
    running: float
    saved: float


def measure_overlap(one: Counts, other: Counts, rows: tuple[Counts, Counts] | None = None) -> Overlap | None:
    """Compare two languages.

    Args:
        one: how often the first uses each row, int64 [rows].
        other: the same of the second.
        rows: which rows are in each one's own vocabulary (not 0), where each has one; None for those that are used.

    Returns:
        None where one of them has no token.
    """
    if not one.sum() or not other.sum():
        return None
    first, second = ((counts > 0) for counts in (rows or (one, other)))
    shared = first & second
    both = float(shared.sum())
    owned = float(first.sum()), float(second.sum())
    running = (float(one[shared].sum() / one.sum()) + float(other[shared].sum() / other.sum())) / 2
    return Overlap(
        jensen_shannon(one, other), (both / owned[0], both / owned[1]), running, both / (owned[0] + owned[1])
    )


def jensen_shannon(one: Counts, other: Counts) -> float:
    """Jensen–Shannon divergence, base 2: the square of the distance that SciPy computes.

    Args:
        one: how often each row occurs, at least one row above 0.
        other: the same of the other language.
    """
    p, q = one / one.sum(), other / other.sum()
    middle = (p + q) / 2
    return min(1.0, max(0.0, (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2))


def _relative_entropy(
    p: np.ndarray[tuple[int], np.dtype[np.float64]], q: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())
