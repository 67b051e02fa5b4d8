"""Per-use gradients in; an error where they do not add up to what the parameter got out."""

# pyright: reportUnknownMemberType=false
# torch is typed in part only.

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, distributed
from typing_extensions import override

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks.arithmetic import as_whole
from lightning_tying.gradients.sinks.sink import Sink
from lightning_tying.gradients.statistics import UseStatistics

_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}


class SumCheck(Sink):
    """Adds up what the uses of each group give, one copy of each parameter, to compare it with `.grad`."""

    def __init__(self) -> None:
        self._sums: dict[ParameterName, Tensor] = {}
        self._sizes: dict[ParameterName, float] = {}
        self._tolerance: dict[ParameterName, float] = {}

    @override
    def begin(self, keys: Iterable[UseKey]) -> None:
        pass

    @override
    def add(self, key: UseKey, gradient: Tensor) -> None:
        """Add what a use gives in one backward pass; half precision is added up in float32."""
        whole, group = as_whole(gradient.detach()), key.group
        tolerance = _TOLERANCE.get(whole.dtype, 16 * torch.finfo(whole.dtype).eps)
        wide = whole.to(torch.promote_types(whole.dtype, torch.float32))
        self._sums[group] = self._sums[group] + wide if group in self._sums else wide.clone()
        self._sizes[group] = self._sizes.get(group, 0.0) + _length(wide)
        self._tolerance[group] = max(tolerance, self._tolerance.get(group, 0.0))

    @override
    def add_sum(self, group: ParameterName, gradient: Tensor) -> None:
        pass

    @override
    def finish(self, scale: float = 1.0) -> dict[ParameterName, UseStatistics]:
        return {}

    def check(self, group: ParameterName, gradient: Tensor | None, unscale: float = 1.0) -> None:
        """Compare the sum with the parameter's gradient, and forget the group. Every process calls it.

        Differences count against the sum of the uses' norms, since uses that cancel leave rounding alone.

        Args:
            group: its name.
            gradient: `.grad` of its shared parameter; None where it has none.
            unscale: what the per-use gradients are multiplied by to be in its units.

        Raises:
            ApplyError: the uses do not add up to it.
        """
        summed = self._sums.pop(group, None)
        if summed is None or gradient is None:
            return
        mine = _average(summed) * unscale
        theirs = as_whole(gradient.detach()).to(mine.dtype)
        norm, off = _length(theirs), _length(mine - theirs)
        if off > self._tolerance[group] * max(self._sizes[group] * unscale, norm):
            raise ApplyError(
                f"The per-use gradients of the sharing group `{group}` do not add up to its gradient: they differ by "
                f"{off:.3g}, and the gradient's norm is {norm:.3g}. Something else changes the gradient (a hook on "
                "the parameter, a backward pass of its own, code that writes to `.grad`), or a use was not seen. The "
                "numbers of single uses would be wrong; self_check: false gives them all the same."
            )


def _average(summed: Tensor) -> Tensor:
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        distributed.all_reduce(summed)
        summed /= distributed.get_world_size()
    return summed


def _length(tensor: Tensor) -> float:
    return float(cast(Any, torch.linalg).vector_norm(tensor))
