"""Per-use gradients in, all of them kept, and the exact inner products of every pair out.

One copy of the shared parameter for each of its uses. With several processes every kept gradient is averaged over
them: as many bytes are sent as uses times the parameter's size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks.arithmetic import as_whole, multiply_pairs, square_sum
from lightning_tying.gradients.sinks.nonfinite import NonfiniteFinder
from lightning_tying.gradients.sinks.projection import project
from lightning_tying.gradients.sinks.sink import Sink
from lightning_tying.gradients.statistics import UseStatistics


class ExactSink(Sink):
    """Keeps the gradients, those of several backward passes added up.

    Args:
        sum_sketch: the size of the projection of each group's sum, a multiple of 8; 0 for none.
        distributed: whether `finish` brings the processes together, where there are several.

    Attributes:
        gradients: of each group and use, as the backward passes gave them, still with the loss scale. After `finish`
            they are averaged over the processes.
    """

    def __init__(self, sum_sketch: int = 0, distributed: bool = True) -> None:
        super().__init__(distributed)
        self._size = sum_sketch
        self._nonfinite = NonfiniteFinder()
        self.gradients: dict[ParameterName, dict[UseKey, Tensor]] = {}

    def add(self, key: UseKey, gradient: Tensor, /) -> None:
        whole = as_whole(gradient)
        self._nonfinite.look_at(key, square_sum(whole))
        held = self.gradients.setdefault(key.group, {})
        held[key] = held[key].add_(whole) if key in held else whole.clone()

    def sums(self, scale: float = 1.0) -> dict[ParameterName, Tensor]:
        """The sum over the uses, to be compared with `.grad`; after `finish` averaged over the processes.

        Args:
            scale: as for `finish`.
        """
        return {group: torch.stack(list(held.values())).sum(0) / scale for group, held in self.gradients.items()}

    def finish(self, scale: float = 1.0) -> dict[ParameterName, UseStatistics]:
        agreed = self._agree_on_uses()
        first = self._nonfinite.find(self.spans_processes)
        found: dict[ParameterName, UseStatistics] = {}
        for group, keys in agreed.items():
            self.gradients[group] = self._gather(group, keys)
            found[group] = self._finish_group(group, scale, first.get(group))
        return found

    def _gather(self, group: ParameterName, keys: tuple[UseKey, ...]) -> dict[UseKey, Tensor]:
        held = self.gradients.get(group, {})
        like = next(iter(held.values()), None)
        if like is None:
            raise_absent(group)
        return {key: self._average(held[key] if key in held else torch.zeros_like(like)) for key in keys}

    def _finish_group(self, group: ParameterName, scale: float, nonfinite: UseKey | None) -> UseStatistics:
        held = self.gradients[group]
        gram, total = multiply_pairs(list(held.values()))
        gram /= scale**2
        sketch = None
        if self._size:
            sketch = torch.stack([project(each, self._size, str(group)) for each in held.values()]).sum(0)
            sketch = (sketch / scale).cpu()
        norms = tuple(gram.diagonal().sqrt().tolist())
        return UseStatistics(
            tuple(held), norms, float(total.sqrt()) / scale, gram, nonfinite is None, nonfinite, sum_sketch=sketch
        )
