"""The squared norms of gradients in the order of the backward pass in, the first use with a NaN or infinity out."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey


class NonfiniteFinder:
    """Looks only when it is asked, so that a backward pass on a GPU waits for nothing."""

    def __init__(self) -> None:
        self._squares: dict[UseKey, Tensor] = {}

    def look_at(self, key: UseKey, square: Tensor) -> None:
        """A squared norm: a NaN or an infinite cell makes it one, and nothing else does, short of an overflow."""
        self._squares[key] = self._squares[key] + square if key in self._squares else square

    def find(self, spans_processes: bool) -> dict[ParameterName, UseKey]:
        """The first use of each group that had one, of all processes' the first process's."""
        mine: dict[ParameterName, UseKey] = {}
        for key, square in self._squares.items():
            if key.group not in mine and not bool(torch.isfinite(square)):
                mine[key.group] = key
        if not spans_processes:
            return mine
        gathered: list[dict[ParameterName, UseKey]] = [{} for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(gathered, mine)
        return {group: key for each in reversed(gathered) for group, key in each.items()}
