"""Per-use gradients in, all of them kept, and the exact inner products of every pair out.

One copy of the shared parameter for each of its uses. With several processes every kept gradient is averaged over
them: as many bytes are sent as uses times the parameter's size.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks.arithmetic import multiply_pairs, row_square_sums, to_floats
from lightning_tying.gradients.sinks.measuring import MeasuringSink
from lightning_tying.gradients.sinks.processes import GroupUses
from lightning_tying.gradients.sinks.projection import project
from lightning_tying.gradients.statistics import RowNorms, UseStatistics


class ExactSink(MeasuringSink):
    """Keeps the gradients, those of several backward passes added up.

    Args:
        sum_sketch: the size of the projection of each group's sum, a multiple of 8; 0 for none.
        distributed: whether `finish` brings the processes together, where there are several.
        tables: as for `MeasuringSink`, but of the summed and averaged gradients.

    Attributes:
        gradients: of each group and use, as the backward passes gave them, still with the loss scale. After `finish`
            they are averaged over the processes.
    """

    def __init__(self, sum_sketch: int = 0, distributed: bool = True, tables: Collection[ParameterName] = ()) -> None:
        super().__init__(distributed)
        self._kept_tables = frozenset(tables)
        self._size = sum_sketch
        self.gradients: dict[ParameterName, dict[UseKey, Tensor]] = {}

    def sums(self, scale: float = 1.0) -> dict[ParameterName, Tensor]:
        """The sum over the uses, to be compared with `.grad`; averaged over the processes once `finish` was called.

        Args:
            scale: as for `finish`.
        """
        return {group: torch.stack(list(held.values())).sum(0) / scale for group, held in self.gradients.items()}

    def _take(self, key: UseKey, gradient: Tensor) -> None:
        held = self.gradients.setdefault(key.group, {})
        held[key] = held[key].add_(gradient) if key in held else gradient.clone()

    def _finish_group(
        self, group: ParameterName, uses: GroupUses, scale: float, nonfinite: UseKey | None
    ) -> UseStatistics:
        held = self.gradients[group] = self._gather(self.gradients.get(group, {}), uses)
        keys, sketch = tuple(uses.keys), None
        gram, total = multiply_pairs([held[key] for key in keys])
        if self._size:
            sketch = torch.stack([project(held[key], self._size) for key in keys]).sum(0).cpu() / scale
        norms = tuple(to_floats(gram.diagonal().sqrt() / scale))
        sum_norm = float(total.sqrt()) / scale
        finite = nonfinite is None
        return UseStatistics(keys, norms, sum_norm, gram / scale**2, finite, nonfinite, sum_sketch=sketch)

    def _find_rows(self, group: ParameterName, uses: GroupUses, scale: float) -> RowNorms | None:
        if group not in self._kept_tables or uses.shape is None:
            return None
        held = [self.gradients[group][key] for key in uses.keys]
        total = held[0].clone()
        for each in held[1:]:
            total += each
        norms = torch.stack([row_square_sums(each) for each in (*held, total)]).sqrt().cpu() / scale
        return RowNorms(norms[:-1], norms[-1])

    def _gather(self, held: dict[UseKey, Tensor], uses: GroupUses) -> dict[UseKey, Tensor]:
        shape, like = uses.shape or torch.Size(()), next(iter(held.values()), None)
        device = None if like is None else like.device
        return {
            key: self._average(held[key] if key in held else torch.zeros(shape, dtype=uses.dtype, device=device))
            for key in uses.keys
        }
