"""Per-use gradients in, exact norms and the norm of their sum out; no gradient is kept.

With several backward passes before a `finish` (gradient accumulation) the squares of the passes are added, of uses and
sums alike: what is measured is how far the uses agree within a micro-batch. With several processes the same squares
are averaged over the processes; one number for each use and each group is sent. Sinks that keep or project gradients
measure the accumulated gradients, averaged over the processes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks.arithmetic import as_whole, square_sum
from lightning_tying.gradients.sinks.nonfinite import NonfiniteFinder
from lightning_tying.gradients.sinks.projection import project
from lightning_tying.gradients.sinks.sink import Sink
from lightning_tying.gradients.statistics import UseStatistics


class StreamingSink(Sink):
    """Norms only; besides one number for each use it keeps nothing, unless asked for.

    Args:
        sum_sketch: the size of the projection of each group's sum, a multiple of 8; 0 for none.
        keep_sums: whether to keep the sum over the uses, added up here and not by autograd: one copy of each shared
            parameter, to be compared with `.grad`.
        distributed: whether `finish` brings the processes together, where there are several.
    """

    def __init__(self, sum_sketch: int = 0, keep_sums: bool = False, distributed: bool = True) -> None:
        super().__init__(distributed)
        self._size = sum_sketch
        self._keep_sums = keep_sums
        self._squares: dict[UseKey, Tensor] = {}
        self._sum_squares: dict[ParameterName, Tensor] = {}
        self._sketches: dict[ParameterName, Tensor] = {}
        self._sums: dict[ParameterName, Tensor] = {}
        self._nonfinite = NonfiniteFinder()

    def add(self, key: UseKey, gradient: Tensor, /) -> None:
        whole = as_whole(gradient)
        square = square_sum(whole)
        self._nonfinite.look_at(key, square)
        _add_to(self._squares, key, square)
        if self._keep_sums:
            held = self._sums.get(key.group)
            self._sums[key.group] = whole.clone() if held is None else held.add_(whole)

    def add_sum(self, group: ParameterName, gradient: Tensor, /) -> None:
        whole = as_whole(gradient)
        _add_to(self._sum_squares, group, square_sum(whole))
        if self._size:
            _add_to(self._sketches, group, project(whole, self._size, str(group)))

    def sums(self, scale: float = 1.0) -> dict[ParameterName, Tensor]:
        """The sum over the uses and backward passes so far, averaged over the processes: what `.grad` must be.

        Empty without `keep_sums`. A collective, to be asked for once: averaging is done in place.

        Args:
            scale: as for `finish`.
        """
        agreed = self._agree_on_uses()
        return {group: self._average(self._sums[group]) / scale for group in agreed if group in self._sums}

    def finish(self, scale: float = 1.0) -> dict[ParameterName, UseStatistics]:
        agreed = self._agree_on_uses()
        first = self._nonfinite.find(self.spans_processes)
        return {group: self._finish_group(group, keys, scale, first.get(group)) for group, keys in agreed.items()}

    def _finish_group(
        self, group: ParameterName, keys: tuple[UseKey, ...], scale: float, nonfinite: UseKey | None
    ) -> UseStatistics:
        none = torch.zeros((), dtype=torch.float64)
        found = [*(self._squares.get(key, none) for key in keys), self._sum_squares.get(group, none)]
        device = next((each.device for each in found if each is not none), none.device)
        *norms, total = (self._average(torch.stack([each.to(device) for each in found])).sqrt() / scale).tolist()
        sketch = self._sketches.get(group)
        if self._size:
            mine = torch.zeros(self._size, dtype=torch.float64, device=device) if sketch is None else sketch
            sketch = (self._average(mine) / scale).cpu()
        return UseStatistics(
            keys, tuple(norms), total, finite=nonfinite is None, first_nonfinite=nonfinite, sum_sketch=sketch
        )


def _add_to[K](held: dict[K, Tensor], key: K, value: Tensor) -> None:
    held[key] = held[key] + value if key in held else value
