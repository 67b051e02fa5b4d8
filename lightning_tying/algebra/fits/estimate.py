"""What several sites say about one tensor in; one value for it out, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """What a tensor should be by one site.

    Args:
        value: the mean of what the site's cells say, cell by cell.
        counts: how many cells of the site speak for each cell, of the value's shape; None for one each.
    """

    value: Tensor
    counts: Tensor | None = None

    @property
    def sums(self) -> Tensor:
        """The value times the counts."""
        return self.value if self.counts is None else self.value * self.counts


class Pool:
    """Estimates of one tensor, put together: `add` for their mean, `fill` for the first that speaks for a cell."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None
        self._counts: Tensor | None = None
        self._whole = 0  # how many estimates speak once for each cell

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been put in."""
        return self._sums is None

    @property
    def is_complete(self) -> bool:
        """Whether something speaks for every cell."""
        return self._whole > 0 or (self._counts is not None and bool((self._counts > 0).all()))

    def add(self, estimate: Estimate) -> None:
        """Let each cell of the estimate count as often as it is spoken for."""
        if self._sums is None:
            self._sums = estimate.sums.clone()
        else:
            self._sums += estimate.sums
        if estimate.counts is None:
            self._whole += 1
        else:
            self._counts = estimate.counts.clone() if self._counts is None else self._counts + estimate.counts

    def fill(self, estimate: Estimate) -> None:
        """Take from the estimate the cells that nothing spoke for."""
        if self._sums is None:
            self.add(estimate)
        elif not self.is_complete and self._counts is not None:
            speaks = torch.ones_like(self._counts) if estimate.counts is None else estimate.counts
            silent = self._counts == 0
            self._sums = torch.where(silent, estimate.sums, self._sums)
            self._counts = torch.where(silent, speaks, self._counts)

    @property
    def value(self) -> Tensor:
        """The mean; 0 where nothing speaks for a cell.

        Raises:
            ValueError: nothing has been put in.
        """
        if self._sums is None:
            raise ValueError("an empty pool has no value")
        if self._counts is None:
            return self._sums / self._whole
        return self._sums / (self._counts + self._whole).clamp(min=1)
