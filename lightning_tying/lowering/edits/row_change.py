"""Which rows of a vocabulary stay and what others are made of go in; carried tables, biases and moments come out."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# torch is typed in part only.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from lightning_tying.errors import ApplyError


class Origins(Protocol):
    """Which old ids each new id comes from, as `vocab.row_origins.RowOrigins` has it."""

    @property
    def old_size(self) -> int:
        """How many ids there were."""
        ...

    @property
    def kept(self) -> Sequence[int]:
        """By new id the old id that it was; -1 for a new one."""
        ...

    @property
    def parts(self) -> Sequence[Sequence[int]]:
        """By new id the old ids that spell it; empty where there are none."""
        ...


@dataclass(frozen=True, eq=False)
class RowChange:
    """Every new row as an old one, or as a weighted sum of old ones; one without any is the mean of all.

    Args:
        old_rows: how many rows of the old vocabulary have an id; a table may have more, which no text used.
        kept: int64 [rows], by new row the old one, or -1.
        targets: int64 [entries], the new row of each entry.
        sources: int64 [entries], the old row of each entry.
        weights: float64 [entries].
    """

    old_rows: int
    kept: Tensor
    targets: Tensor
    sources: Tensor
    weights: Tensor

    @property
    def rows(self) -> int:
        """How many rows there are then."""
        return len(self.kept)

    @property
    def new(self) -> Tensor:
        """The rows that were not there before, int64."""
        return (self.kept < 0).nonzero().flatten()

    def carry(self, old: Tensor, place: int, *, new_zero: bool = False) -> Tensor:
        """The tensor of the new vocabulary; kept rows bit for bit.

        Args:
            old: with `old_rows` rows or more along `place`.
            place: the vocabulary's dimension.
            new_zero: leave new rows zero.

        Raises:
            ApplyError: the tensor has fewer rows than the old vocabulary.
        """
        rows = old.detach().movedim(place, 0)
        if len(rows) < self.old_rows:
            raise ApplyError(
                f"A table of {len(rows)} rows is not of the old vocabulary, which has {self.old_rows} ids. Give the "
                "vocabulary that the model was trained with."
            )
        made = rows.new_zeros((self.rows, *rows.shape[1:]))
        if not old.is_meta:
            kept = self.kept.to(old.device)
            if not new_zero:
                self._fill(made, rows)
            made[kept >= 0] = rows[kept[kept >= 0]]
        return made.movedim(0, place).contiguous()

    def without_signs(self) -> RowChange:
        """The same with shares: absolute weights that sum to 1, for what must stay positive and of its size."""
        sizes = self.weights.abs()
        sums = torch.zeros(self.rows, dtype=sizes.dtype).index_add_(0, self.targets, sizes)
        return replace(self, weights=sizes / sums[self.targets].clamp_min(torch.finfo(sizes.dtype).tiny))

    def _fill(self, made: Tensor, rows: Tensor) -> None:
        """Write the new rows, in double precision."""
        new = self.new
        mean = rows[: self.old_rows].double().mean(0, keepdim=True).to(made.dtype)
        made[new.to(made.device)] = mean.expand(len(new), *mean.shape[1:])
        found, numbers = self.targets.unique(return_inverse=True)
        if not len(found):
            return
        weights = self.weights.to(rows.device).view(-1, *(1,) * (rows.dim() - 1))
        sums = torch.zeros((len(found), *rows.shape[1:]), dtype=torch.float64, device=rows.device)
        sums.index_add_(0, numbers.to(rows.device), rows[self.sources.to(rows.device)].double() * weights)
        made[found.to(made.device)] = sums.to(made.dtype)
