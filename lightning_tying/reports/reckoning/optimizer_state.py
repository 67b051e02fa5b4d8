"""An optimizer in, how much state it keeps for each of its parameters out: by its class, else as measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_Settings: TypeAlias = Mapping[str, Any]
StateRules: TypeAlias = "dict[int, StateRule | None]"

# How many tensors of a parameter's own shape and dtype each optimizer of torch keeps; counters are left out. Exact
# classes: a subclass may keep more. LBFGS is missing: what it keeps depends on how often it is asked.
_COPIES: dict[type[Optimizer], Callable[[_Settings], int]] = {
    torch.optim.Adadelta: lambda _: 2,
    torch.optim.Adagrad: lambda _: 1,
    torch.optim.Adam: lambda settings: 2 + bool(settings.get("amsgrad")),
    torch.optim.Adamax: lambda _: 2,
    torch.optim.AdamW: lambda settings: 2 + bool(settings.get("amsgrad")),
    torch.optim.ASGD: lambda _: 1,
    torch.optim.Muon: lambda _: 1,
    torch.optim.NAdam: lambda _: 2,
    torch.optim.RAdam: lambda _: 2,
    torch.optim.RMSprop: lambda settings: 1 + (settings.get("momentum", 0) > 0) + bool(settings.get("centered")),
    torch.optim.Rprop: lambda _: 2,
    torch.optim.SGD: lambda settings: int(settings.get("momentum", 0) != 0),
    torch.optim.SparseAdam: lambda _: 2,
}


@dataclass(frozen=True)
class StateRule:
    """What an optimizer keeps for one parameter, counters left out.

    Args:
        optimizer: its class name.
        cells: state cells for each cell of the parameter.
        bytes: bytes for each cell of the parameter; None where state cells have the parameter's dtype.
        factored: whether a row and a column stand for each matrix, as in Adafactor; `cells` counts for vectors then.
        measured: whether it was counted in an optimizer that has stepped.
    """

    optimizer: str
    cells: float = 2
    bytes: float | None = None
    factored: bool = False
    measured: bool = False

    def reckon(self, shape: tuple[int, ...], itemsize: int) -> tuple[int, int]:
        """Cells and bytes of the state of a parameter.

        Args:
            shape: the parameter's.
            itemsize: bytes of one of its cells.
        """
        if self.factored and len(shape) > 1:
            *stacked, rows, columns = shape
            cells = math.prod(stacked) * (rows + columns)
        else:
            cells = round(math.prod(shape) * self.cells)
        return cells, cells * itemsize if self.bytes is None else round(math.prod(shape) * self.bytes)

    def __str__(self) -> str:
        if self.factored:
            return f"{self.optimizer}: a row and a column for each matrix"
        return f"{self.optimizer}: {self.cells:.4g} for each parameter{', measured' if self.measured else ''}"


ADAMW = StateRule("AdamW")
NO_STATE = StateRule("no optimizer", 0)


def find_rules(optimizers: Iterable[Optimizer]) -> StateRules:
    """The rule of each parameter, by its `id`; None where the class is not known and has not stepped yet.

    Args:
        optimizers: those in use. Only an unknown class is measured, so that what is said does not change.
    """
    rules: StateRules = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rule = find_rule(optimizer, group)
            rules |= {id(parameter): rule or _measure(optimizer, parameter) for parameter in group["params"]}
    return rules


def find_rule(optimizer: Optimizer, settings: _Settings) -> StateRule | None:
    """What an optimizer keeps by its class, None for a class that is not torch's own.

    Args:
        optimizer: whichever.
        settings: of one of its parameter groups.
    """
    kind = type(optimizer)
    if kind is torch.optim.Adafactor:
        return StateRule(kind.__name__, 1, factored=True)
    return StateRule(kind.__name__, _COPIES[kind](settings)) if kind in _COPIES else None


def _measure(optimizer: Optimizer, parameter: nn.Parameter) -> StateRule | None:
    state: Mapping[str, Any] = optimizer.state.get(parameter, {})
    if not state or not parameter.numel():
        return None
    kept = [value for name, value in state.items() if isinstance(value, Tensor) and _is_kept(name, value, parameter)]
    cells, size = sum(each.numel() for each in kept), sum(each.numel() * each.itemsize for each in kept)
    name = type(optimizer).__name__
    return StateRule(name, cells / parameter.numel(), size / parameter.numel(), measured=True)


def _is_kept(name: str, value: Tensor, parameter: nn.Parameter) -> bool:
    """`step` is a counter, also of a parameter that is one number; so is any number of a larger one."""
    return name != "step" and (value.ndim > 0 or value.shape == parameter.shape)
