"""The order of an epoch: a seed and an epoch's number go in, the rows to take come out; nothing else decides it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from lightning_tying.vocab import Sampling

Rows = NDArray[np.int64]
_EPOCH, _GROUP = 0, 1  # keep the two kinds of random numbers apart


@final
class EpochOrder:
    """Shuffled rows, each group with its share: as many rows an epoch as there are, in proportion ``n ** alpha``.

    A group whose share is larger than its size repeats; one whose share is smaller goes on in the next epoch where it
    stopped, so that over the epochs every row of a group is taken equally often.

    Args:
        groups: the rows of each group (a language, a class …), first and one past the last.
        sampling: the shares; None takes every row once an epoch.
        seed: the seed, at least 0.
    """

    def __init__(self, groups: Sequence[tuple[int, int]], sampling: Sampling | None, seed: int) -> None:
        self._groups = groups
        self._seed = seed
        sizes = {str(index): stop - start for index, (start, stop) in enumerate(groups)}
        counts = sizes if sampling is None else sampling.counts(sizes, sum(sizes.values()))
        self._counts = list(counts.values())
        self.size = sum(self._counts)

    def rows(self, epoch: int) -> Rows:
        """All rows of an epoch, int64 [size]; the same for the same seed and epoch."""
        parts = [self._take(index, epoch) for index, count in enumerate(self._counts) if count]
        rows = np.concatenate([np.zeros(0, np.int64), *parts])
        return rows[np.random.default_rng([self._seed, _EPOCH, epoch]).permutation(len(rows))]

    def _take(self, group: int, epoch: int) -> Rows:
        """The epoch's part of the group's endless row of permutations."""
        start, stop = self._groups[group]
        size, count = stop - start, self._counts[group]
        begin = epoch * count
        first, last = begin // size, (begin + count - 1) // size
        passes = [self._permutation(group, number, size) for number in range(first, last + 1)]
        taken = np.concatenate(passes)[begin - first * size :][:count]
        return start + taken

    def _permutation(self, group: int, number: int, size: int) -> Rows:
        return np.random.default_rng([self._seed, _GROUP, group, number]).permutation(size)
