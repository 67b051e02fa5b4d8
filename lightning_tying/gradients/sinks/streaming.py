"""Per-use gradients in, exact norms and the norm of their sum out; no gradient is kept.

With several backward passes before a `finish` (gradient accumulation) the squares of the passes are added, of uses and
sums alike: what is measured is how far the uses agree within a micro-batch. With several processes the same squares
are averaged over the processes; one number for each use and each group is sent. Sinks that keep or project gradients
measure the accumulated gradients, averaged over the processes.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks.arithmetic import as_whole, to_floats
from lightning_tying.gradients.sinks.measuring import MeasuringSink
from lightning_tying.gradients.sinks.processes import GroupUses
from lightning_tying.gradients.sinks.projection import project
from lightning_tying.gradients.statistics import UseStatistics


class StreamingSink(MeasuringSink):
    """Norms only; besides one number for each use it keeps nothing, unless asked for.

    Args:
        sum_sketch: the size of the projection of each group's sum, a multiple of 8; 0 for none.
        keep_sums: whether to keep the sum over the uses, added up here and not by autograd: one copy of each shared
            parameter, to be compared with `.grad`.
        distributed: whether `finish` brings the processes together, where there are several.
        tables: as for `MeasuringSink`.
    """

    def __init__(
        self,
        sum_sketch: int = 0,
        keep_sums: bool = False,
        distributed: bool = True,
        tables: Collection[ParameterName] = (),
    ) -> None:
        super().__init__(distributed, tables)
        self._size = sum_sketch
        self._keep_sums = keep_sums
        self._sum_squares: dict[ParameterName, Tensor] = {}
        self._sketches: dict[ParameterName, Tensor] = {}
        self._sums: dict[ParameterName, Tensor] = {}

    def add_sum(self, group: ParameterName, gradient: Tensor) -> None:
        whole = as_whole(gradient)
        _add_to(self._sum_squares, group, self._square(group, group, whole))
        if self._size:
            _add_to(self._sketches, group, project(whole, self._size))

    def sums(self, scale: float = 1.0) -> dict[ParameterName, Tensor]:
        """The sum over the uses and backward passes so far, averaged over the processes: what `.grad` must be.

        Empty without `keep_sums`. A collective, as `finish` is, and to be asked for once.

        Args:
            scale: as for `finish`.
        """
        if not self._keep_sums:
            return {}
        found: dict[ParameterName, Tensor] = {}
        for group, uses in self._agree().items():
            if uses.shape is not None:
                held = self._sums.get(group)
                found[group] = self._average(torch.zeros(uses.shape, dtype=uses.dtype) if held is None else held)
        return {group: total / scale for group, total in found.items()}

    def _take(self, key: UseKey, gradient: Tensor) -> None:
        if self._keep_sums:
            held = self._sums.get(key.group)
            self._sums[key.group] = gradient.clone() if held is None else held.add_(gradient)

    def _finish_group(
        self, group: ParameterName, uses: GroupUses, scale: float, nonfinite: UseKey | None
    ) -> UseStatistics:
        none = torch.zeros((), dtype=torch.float64)
        total = self._sum_squares.get(group, none)
        squares = [*(self._squares.get(key, none) for key in uses.keys), total]
        roots = self._average(torch.stack([each.to(total.device) for each in squares])).sqrt() / scale
        *norms, sum_norm = to_floats(roots)
        sketch = None
        if self._size:
            held = self._sketches.get(group)
            sketch = self._average(torch.zeros(self._size, dtype=torch.float64) if held is None else held).cpu() / scale
        return UseStatistics(
            tuple(uses.keys), tuple(norms), sum_norm, None, nonfinite is None, nonfinite, sum_sketch=sketch
        )


def _add_to(held: dict[ParameterName, Tensor], group: ParameterName, value: Tensor) -> None:
    held[group] = held[group] + value if group in held else value
