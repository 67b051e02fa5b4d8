"""Cosines of uses over several samples in; the uses in clusters that do not pull apart out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from lightning_tying.callbacks.adaptive.view import Cosines

SURE = 2.0  # standard errors


@dataclass(frozen=True)
class PairStatistics:
    """The cosine of two uses over the samples.

    Args:
        mean: of the samples that have one; 0 where none has.
        error: standard error of the mean; infinite for fewer than two samples.
    """

    mean: float
    error: float

    def is_below(self, bound: float) -> bool:
        """Whether the mean is below a bound by more than chance would bring it there."""
        return self.mean + SURE * self.error < bound


def measure_pairs(samples: Sequence[Cosines]) -> list[list[PairStatistics]]:
    """Mean and standard error of each two uses.

    Args:
        samples: K × K cosines at each sampled step; NaN where a use had no gradient.
    """
    count = len(samples[0])
    return [[_measure([table[one][other] for table in samples]) for other in range(count)] for one in range(count)]


def find_clusters(pairs: Sequence[Sequence[PairStatistics]], threshold: float, most: int = 0) -> list[list[int]]:
    """Join the clusters with the highest mean cosine until all that are left conflict (average linkage).

    Two clusters conflict where the mean cosine of their uses is below `-threshold` by more than two standard errors.
    Uses that have nothing in common stay together: sharing costs them nothing.

    Args:
        pairs: of K uses.
        threshold: 0 to 1.
        most: clusters at most, the nearest joined even though they conflict; 0 for any number.

    Returns:
        The places of the uses, each cluster and all of them in order; one cluster where nothing conflicts.
    """
    clusters = [[use] for use in range(len(pairs))]
    while len(clusters) > 1:
        found = {(one, other): _link(pairs, clusters[one], clusters[other]) for one, other in _list_pairs(clusters)}
        free = {place: link for place, link in found.items() if not link.is_below(-threshold)}
        if not free and (not most or len(clusters) <= most):
            break
        open_to = free or found
        one, other = max(open_to, key=lambda place: (open_to[place].mean, -place[0], -place[1]))
        clusters[one] = sorted(clusters[one] + clusters[other])
        del clusters[other]
    return sorted(clusters)


def find_gap(pairs: Sequence[Sequence[PairStatistics]], clusters: Sequence[Sequence[int]]) -> tuple[float, float]:
    """The mean cosine within clusters, and of those between the nearest two; NaN where there are no such pairs."""
    within = [pairs[one][other].mean for cluster in clusters for one, other in combinations(cluster, 2)]
    between = [_link(pairs, clusters[one], clusters[other]).mean for one, other in _list_pairs(clusters)]
    return statistics.fmean(within) if within else math.nan, max(between, default=math.nan)


def _list_pairs(clusters: Sequence[object]) -> list[tuple[int, int]]:
    return list(combinations(range(len(clusters)), 2))


def _link(pairs: Sequence[Sequence[PairStatistics]], one: Sequence[int], other: Sequence[int]) -> PairStatistics:
    """The mean over the measured pairs of two clusters; its error as if all erred alike: they share their batches."""
    found = [pairs[a][b] for a in one for b in other if math.isfinite(pairs[a][b].error)]
    if not found:
        return PairStatistics(0.0, math.inf)
    return PairStatistics(statistics.fmean(x.mean for x in found), statistics.fmean(x.error for x in found))


def _measure(cells: Sequence[float]) -> PairStatistics:
    known = [cell for cell in cells if math.isfinite(cell)]
    if not known:
        return PairStatistics(0.0, math.inf)
    error = statistics.stdev(known) / math.sqrt(len(known)) if len(known) > 1 else math.inf
    return PairStatistics(statistics.fmean(known), error)
