"""Loaders: rows and an order go in, batches come out; the position can be saved and taken up again.

They are no `torch.utils.data.DataLoader`s, on purpose: Lightning replaces the sampler of those under DDP by one that
shuffles by itself, and cannot resume them inside an epoch. These give each process its part of one global batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import numpy as np

from lightning_tying.data.epoch_batches import EpochBatches, EvenBatches
from lightning_tying.data.order import EpochOrder, Rows
from lightning_tying.data.row_source import Batch, RowSource


@final
class TrainLoader:
    """Endless epochs of shuffled batches; each process takes its part of every global batch.

    The order does not depend on the number of processes: W processes with batches of B rows see what one process with
    batches of B·W sees.

    Args:
        rows: what makes a batch of row numbers.
        order: the rows of each epoch; or its global batches, where they are not of one size.
        batch_size: the most rows a process and batch, B; where `order` are batches, they decide.
        rank: the number of this process.
        world_size: the number of processes, W.
        fixed: take the order of epoch 0 in every epoch (to overfit a few batches).
    """

    def __init__(
        self,
        rows: RowSource,
        order: EpochOrder | EpochBatches,
        batch_size: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        fixed: bool = False,
    ) -> None:
        self._rows = rows
        self._batches = EvenBatches(order, batch_size * world_size) if isinstance(order, EpochOrder) else order
        self._rank, self._world_size = rank, world_size
        self._fixed = fixed
        self._epoch, self._taken = 0, 0  # the rows already taken from this epoch, of all processes
        self._resumed = False
        self._told: int | None = None

    @property
    def sampler(self) -> TrainLoader:
        """This object: Lightning tells the epoch to a loader's `sampler`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; without it each pass is the next epoch."""
        self._told = epoch

    def __len__(self) -> int:
        return self._batches.count

    def __iter__(self) -> Iterator[Batch]:
        # a generator: Lightning makes the iterator before it restores a position and before it tells the epoch
        self._begin_pass()
        for global_batch in self._batches.after(self._order_of(self._epoch), self._taken):
            self._taken += len(global_batch)
            yield self._rows.batch(share(global_batch, self._rank, self._world_size))

    def state_dict(self) -> dict[str, int]:
        """The position: the epoch and the rows taken from it by all processes together."""
        return {"epoch": self._epoch, "taken": self._taken}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at a position that `state_dict` gave, with the next pass."""
        self._epoch, self._taken = int(state_dict["epoch"]), int(state_dict["taken"])
        self._resumed = True

    def _begin_pass(self) -> None:
        ended = self._batches.has_ended(self._order_of(self._epoch), self._taken)
        if self._told is not None and self._told != self._epoch:
            self._epoch, self._taken = self._told, 0
        elif self._taken and (ended or not self._resumed):
            self._epoch, self._taken = self._epoch + 1, 0
        self._resumed = False

    def _order_of(self, epoch: int) -> int:
        return 0 if self._fixed else epoch


@final
class EvalLoader:
    """One pass over all rows in their order, each row once, in batches of nearly equal size.

    Every process gets the same number of batches, none empty: only where there are fewer rows than processes need is
    the last row given more than once.

    Args:
        rows: what makes a batch of row numbers.
        batch_size: the most rows a process and batch.
        rank: the number of this process.
        world_size: the number of processes.
    """

    def __init__(self, rows: RowSource, batch_size: int, *, rank: int = 0, world_size: int = 1) -> None:
        self._rows = rows
        count = -(-len(rows) // (batch_size * world_size))
        every = np.arange(len(rows), dtype=np.int64)
        self._batches = [share(part, rank, world_size) for part in np.array_split(every, count)]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return map(self._rows.batch, self._batches)


def share(rows: Rows, rank: int, world_size: int) -> Rows:
    """The part of a global batch that one process takes; the parts differ by one row at most.

    Args:
        rows: the row numbers of the global batch, int64 [at least 1].
        rank: the number of the process.
        world_size: the number of processes.
    """
    part = np.array_split(rows, world_size)[rank]
    return part if len(part) else rows[-1:]
