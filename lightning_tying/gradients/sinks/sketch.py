"""Per-use gradients in, a short projection of each kept, and the inner products of every pair out, nearly.

With several processes the projections are averaged over them, `size` numbers for each use: a projection of an average
is the average of the projections. So the uses of the averaged gradients are measured without sending any gradient.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks.arithmetic import as_whole, to_floats
from lightning_tying.gradients.sinks.measuring import MeasuringSink
from lightning_tying.gradients.sinks.processes import GroupUses
from lightning_tying.gradients.sinks.projection import project, projection_error
from lightning_tying.gradients.statistics import UseStatistics


class SketchSink(MeasuringSink):
    """Keeps a projection of each use's gradient, those of several backward passes added up.

    Norms are exact for one backward pass of one process, otherwise from the projections.

    Args:
        size: of a projection, a multiple of 8; a cosine is off by √(2 / size) or less (standard deviation).
        distributed: whether `finish` brings the processes together, where there are several.
        tables: as for `MeasuringSink`.
    """

    def __init__(self, size: int = 1024, distributed: bool = True, tables: Collection[ParameterName] = ()) -> None:
        super().__init__(distributed, tables)
        self._size = size
        self._sketches: dict[UseKey, Tensor] = {}
        self._sum_squares: dict[ParameterName, list[Tensor]] = {}  # one for each pass

    def add_sum(self, group: ParameterName, gradient: Tensor) -> None:
        self._sum_squares.setdefault(group, []).append(self._square(group, group, as_whole(gradient)))

    def _take(self, key: UseKey, gradient: Tensor) -> None:
        sketch = project(gradient, self._size)
        self._sketches[key] = self._sketches[key] + sketch if key in self._sketches else sketch

    def _finish_group(
        self, group: ParameterName, uses: GroupUses, scale: float, nonfinite: UseKey | None
    ) -> UseStatistics:
        none = torch.zeros(self._size, dtype=torch.float64)
        found = [self._sketches.get(key, none) for key in uses.keys]
        device = next((each.device for each in found if each is not none), none.device)
        sketches = self._average(torch.stack([each.to(device) for each in found])).cpu() / scale
        gram, total = sketches @ sketches.T, sketches.sum(0)
        norms, sum_norm = to_floats(gram.diagonal().sqrt()), math.sqrt(float(total @ total))
        totals = self._sum_squares.get(group, [])
        if len(totals) == 1 and not self._spans:
            norms = [math.sqrt(float(self._squares[key])) / scale if key in self._squares else 0.0 for key in uses.keys]
            sum_norm = math.sqrt(float(totals[0])) / scale
        return UseStatistics(
            keys=tuple(uses.keys),
            norms=tuple(norms),
            sum_norm=sum_norm,
            gram=gram,
            finite=nonfinite is None,
            first_nonfinite=nonfinite,
            cosine_error=projection_error(math.prod(uses.shape or ()), self._size),
            sum_sketch=total,
        )
