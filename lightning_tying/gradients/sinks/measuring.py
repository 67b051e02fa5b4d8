"""Per-use gradients in, what all sinks here know of them out: the uses, the norms, the first that is no number."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks.arithmetic import as_whole, row_square_sums, square_sum, to_floats
from lightning_tying.gradients.sinks.processes import GroupUses, agree_on_uses, average, first_of_all, has_processes
from lightning_tying.gradients.sinks.sink import Sink
from lightning_tying.gradients.statistics import RowNorms, UseStatistics

_PARAMETRIZED = "parametrizations."  # in the places of derived uses, and of no others


class MeasuringSink(Sink):
    """Takes the norms of per-use gradients, and makes numbers of them and of what else it keeps.

    Args:
        distributed: whether `finish` brings the processes together, where there are several.
        tables: groups of which the norms of single rows are taken too, one number for each row and use. Those of
            several backward passes and processes are summed and averaged as squares, unless all gradients are kept.
    """

    def __init__(self, distributed: bool = True, tables: Collection[ParameterName] = ()) -> None:
        self._distributed = distributed
        self._tables = frozenset(tables)
        self._row_squares: dict[UseKey | ParameterName, Tensor] = {}  # of uses, and of the sum by its group
        self._groups: dict[ParameterName, GroupUses] = {}
        self._squares: dict[UseKey, Tensor] = {}  # in the order of the backward pass
        self._site_squares: dict[UseKey, Tensor] = {}

    def begin(self, keys: Iterable[UseKey]) -> None:
        for key in keys:
            self._groups.setdefault(key.group, GroupUses({})).keys[key] = None

    def add(self, key: UseKey, gradient: Tensor) -> None:
        whole = as_whole(gradient)
        uses = self._groups.setdefault(key.group, GroupUses({}))
        uses.keys[key], uses.shape, uses.dtype = None, whole.shape, whole.dtype
        square = self._square(key, key.group, whole)
        self._squares[key] = self._squares[key] + square if key in self._squares else square
        self._take(key, whole)

    def add_sum(self, group: ParameterName, gradient: Tensor) -> None:
        del group, gradient

    def add_site(self, key: UseKey, gradient: Tensor) -> None:
        square = square_sum(as_whole(gradient))
        self._site_squares[key] = self._site_squares[key] + square if key in self._site_squares else square

    def finish(self, scale: float = 1.0) -> dict[ParameterName, UseStatistics]:
        agreed, first = self._agree(), self._find_nonfinite()
        found: dict[ParameterName, UseStatistics] = {}
        for group, uses in agreed.items():
            numbers = self._finish_group(group, uses, scale, first.get(group))
            sites, rows = self._find_site_norms(numbers, scale), self._find_rows(group, uses, scale)
            found[group] = replace(numbers, site_norms=sites, rows=rows)
        return found

    @abstractmethod
    def _take(self, key: UseKey, gradient: Tensor) -> None:
        """What is kept of a gradient besides its norm; it is whole and dense."""

    @abstractmethod
    def _finish_group(
        self, group: ParameterName, uses: GroupUses, scale: float, nonfinite: UseKey | None
    ) -> UseStatistics: ...

    def _square(self, owner: UseKey | ParameterName, group: ParameterName, gradient: Tensor) -> Tensor:
        """‖g‖², a number on the gradient's device: a backward pass on a GPU waits for nothing."""
        if group not in self._tables:
            return square_sum(gradient)
        rows = row_square_sums(gradient)
        self._row_squares[owner] = self._row_squares[owner] + rows if owner in self._row_squares else rows
        return rows.sum()

    def _find_rows(self, group: ParameterName, uses: GroupUses, scale: float) -> RowNorms | None:
        if group not in self._tables or uses.shape is None:
            return None
        wanted: Sequence[UseKey | ParameterName] = (*uses.keys, group)
        held = [self._row_squares.get(key) for key in wanted]
        none = torch.zeros(uses.shape[:1], dtype=torch.float64)
        device = next((each.device for each in held if each is not None), none.device)
        squares = torch.stack([(none if each is None else each).to(device) for each in held])
        norms = self._average(squares).sqrt().cpu() / scale
        return RowNorms(norms[:-1], norms[-1])

    def _find_site_norms(self, found: UseStatistics, scale: float) -> tuple[float, ...]:
        """Those of derived uses are averaged as squares: gradients at sites are not kept."""
        derived = [key for key in found.keys if _PARAMETRIZED in key.place]
        if not derived:
            return found.norms
        none = torch.full((), math.nan, dtype=torch.float64)
        squares = torch.stack([self._site_squares.get(key, none).cpu() for key in derived])
        roots = dict(zip(derived, to_floats(self._average(squares).sqrt() / scale), strict=True))
        return tuple(roots.get(key, norm) for key, norm in zip(found.keys, found.norms, strict=True))

    @property
    def _spans(self) -> bool:
        return self._distributed and has_processes()

    def _agree(self) -> Mapping[ParameterName, GroupUses]:
        return agree_on_uses(self._groups) if self._spans else self._groups

    def _average(self, tensor: Tensor) -> Tensor:
        return average(tensor) if self._spans else tensor

    def _find_nonfinite(self) -> dict[ParameterName, UseKey]:
        """The first use in the backward pass with a NaN or an infinite cell; both make the squared norm one."""
        mine: dict[ParameterName, UseKey] = {}
        if self._squares:
            device = next(iter(self._squares.values())).device
            finite = to_floats(torch.stack([each.to(device) for each in self._squares.values()]).isfinite())
            for key, fine in zip(self._squares, finite, strict=True):
                if not fine:
                    mine.setdefault(key.group, key)
        return first_of_all(mine) if self._spans else mine
