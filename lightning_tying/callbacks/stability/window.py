"""A module, its optimizers and sinks in; what the backward passes up to an optimizer step put into the sinks out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.catch import catch_uses
from lightning_tying.gradients.check_sums import SumCheck
from lightning_tying.gradients.combining.combine import UniformWeights, WeighedGradients
from lightning_tying.gradients.shared import SharedParameter
from lightning_tying.gradients.sinks.sink import Sink

Combination = UniformWeights | WeighedGradients


@dataclass(frozen=True, eq=False)
class Part:
    """What one optimizer trains of the sharing groups.

    Args:
        optimizer: of torch.
        parameters: the shared parameters, by the names of their groups.
        sink: for the numbers; None at steps that are not sampled.
        check: of the sums; None where it was done before.
        combined: the sink of a combination; None for the sum.
    """

    optimizer: object
    parameters: dict[ParameterName, Tensor]
    sink: Sink | None
    check: SumCheck | None
    combined: Any


class Window:
    """Catches per-use gradients from when it is made until its last part is taken.

    Args:
        module: that is trained.
        parts: one for each optimizer.
    """

    def __init__(self, module: nn.Module, parts: Iterable[Part]) -> None:
        self.parts = list(parts)
        self._stack = ExitStack()
        self._closed = False
        for part in self.parts:
            for receiver in (part.sink, part.check, part.combined):
                if receiver is not None:
                    self._stack.enter_context(catch_uses(module, groups=list(part.parameters), sink=receiver))
        _OPEN.append(self)

    def take(self, optimizer: object) -> Part | None:
        """The part of an optimizer that is going to step; None where it has none, or has it no more."""
        part = next((each for each in self.parts if each.optimizer is optimizer), None)
        if part is not None:
            self.parts.remove(part)
        if not self.parts:
            self.close()
        return part

    def close(self) -> None:
        """Catch nothing any more. Contexts end in turn: one with a later one above it ends together with that one."""
        self._closed = True
        while _OPEN and _OPEN[-1]._closed:
            _OPEN.pop()._stack.close()


_OPEN: list[Window] = []


def make_parts(
    optimizers: Sequence[Any],
    groups: Sequence[SharedParameter],
    make_sink: Callable[[], Sink] | None,
    check: bool,
    combination: Combination | None,
) -> list[Part]:
    """Divide the groups by the optimizer that trains them; those that none trains are left out.

    Args:
        optimizers: of the run.
        groups: to measure.
        make_sink: for their numbers, None where the step is not sampled.
        check: whether to compare sums with `.grad`.
        combination: of the gradients.
    """
    parts: list[Part] = []
    for optimizer in optimizers:
        held = {id(each) for group in optimizer.param_groups for each in group["params"]}
        found = ((each.name, each.parameter()) for each in groups)
        mine = {name: tensor for name, tensor in found if tensor is not None and id(tensor) in held}
        if mine:
            sink = None if make_sink is None else make_sink()
            combined = None if combination is None else combination.make_sink()
            parts.append(Part(optimizer, mine, sink, SumCheck() if check else None, combined))
    return parts
