"""The batches of an epoch: the order of its rows goes in, global batches come out, of one size or filled by length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from lightning_tying.data.order import EpochOrder, Rows

_POOL = 64  # batches whose rows are sorted by length together
_SHUFFLE = 2  # keeps these random numbers apart from those of the order


class EpochBatches(Protocol):
    """What a training loader takes its global batches from; nothing but its making and the epoch decides them."""

    @property
    def count(self) -> int:
        """Batches of every epoch."""
        ...

    def after(self, epoch: int, taken: int) -> Iterator[Rows]:
        """The batches of an epoch after those that hold its first `taken` rows."""
        ...

    def has_ended(self, epoch: int, taken: int) -> bool:
        """Whether an epoch has no batch after its first `taken` rows."""
        ...


@final
class EvenBatches(EpochBatches):
    """Batches of one size in the epoch's order; rows that do not fill one are left out of their epoch.

    Args:
        order: the rows of each epoch.
        size: rows of a global batch.
    """

    def __init__(self, order: EpochOrder, size: int) -> None:
        self._order, self._size = order, min(size, order.size)

    @property
    @override
    def count(self) -> int:
        return self._order.size // self._size

    @override
    def after(self, epoch: int, taken: int) -> Iterator[Rows]:
        rows = self._order.rows(epoch)
        while not self.has_ended(epoch, taken):
            yield rows[taken : taken + self._size]
            taken += self._size

    @override
    def has_ended(self, epoch: int, taken: int) -> bool:
        return taken + self._size > self._order.size


@final
class LengthBatches(EpochBatches):
    """Batches of rows of nearly equal length, so that little of a batch is padding.

    The shuffled rows of an epoch are taken in pools of 64 batches; a pool is sorted by length (target first, then
    source), cut into batches, and all batches of the epoch are shuffled. With `max_tokens` a batch ends before its
    padded tokens would pass it. Every epoch has as many batches as the first: what is too much is left out, what is too
    little comes from its beginning again.

    Args:
        order: the rows of each epoch.
        widths: tokens of each row's source and target, int64 [rows, 2].
        size: rows of a global batch; with `max_tokens` it decides only how large the pools are.
        max_tokens: the most padded tokens (rows · (longest source + longest target)) of a global batch.
        seed: of the order of the batches.
    """

    def __init__(
        self, order: EpochOrder, widths: NDArray[np.int64], size: int, *, max_tokens: int | None, seed: int
    ) -> None:
        self._order, self._widths, self._seed = order, widths, seed
        self._size, self._max_tokens = min(size, order.size), max_tokens
        self._pool = _POOL * self._size
        self._count: int | None = None
        self._kept: tuple[int, list[Rows]] | None = None

    @property
    @override
    def count(self) -> int:
        if self._count is None:
            self._count = len(self._cut(0))
        return self._count

    @override
    def after(self, epoch: int, taken: int) -> Iterator[Rows]:
        seen = 0
        for batch in self._batches(epoch):
            if seen >= taken:
                yield batch
            seen += len(batch)

    @override
    def has_ended(self, epoch: int, taken: int) -> bool:
        return taken >= sum(map(len, self._batches(epoch)))

    def _batches(self, epoch: int) -> list[Rows]:
        if self._kept is None or self._kept[0] != epoch:
            batches = self._cut(epoch)
            order: Rows = np.random.default_rng([self._seed, _SHUFFLE, epoch]).permutation(len(batches))
            # what an epoch has too little comes from its beginning again
            self._kept = epoch, [batches[order[place % len(batches)]] for place in range(self.count)]
        return self._kept[1]

    def _cut(self, epoch: int) -> list[Rows]:
        rows = self._order.rows(epoch)
        pools = [rows[start : start + self._pool] for start in range(0, len(rows), self._pool)]
        batches = [batch for pool in pools for batch in self._cut_pool(pool)]
        if self._max_tokens is None and len(batches) > 1 and len(batches[-1]) < self._size:
            batches.pop()  # the rest that fills no batch
        return batches

    def _cut_pool(self, pool: Rows) -> list[Rows]:
        source, target = self._widths[pool, 0], self._widths[pool, 1]
        # sources up and down in turn, so that the end of one target length has sources like the beginning of the next
        in_turn = source * (2 * (target % 2) - 1)
        by_length = pool[np.lexsort((in_turn, target))]
        if self._max_tokens is None:
            return [by_length[start : start + self._size] for start in range(0, len(pool), self._size)]
        return _fill(by_length, self._widths, self._max_tokens)


def _fill(rows: Rows, widths: NDArray[np.int64], most: int) -> list[Rows]:
    """Cut sorted rows where one more would bring the padded tokens above `most`; every batch has at least one row."""
    batches: list[Rows] = []
    start, source, target = 0, 0, 0
    for place, (row_source, row_target) in enumerate(widths[rows].tolist()):
        source, target = max(source, row_source), max(target, row_target)
        if place > start and (place + 1 - start) * (source + target) > most:
            batches.append(rows[start:place])
            start, source, target = place, row_source, row_target
    return [*batches, rows[start:]]
