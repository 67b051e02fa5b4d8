"""An object of a module class in; the attributes that `nn.Module.__init__` gives it, in half of its time, out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from torch import nn

_GIVEN: dict[str, Any] = vars(nn.Module())
_REGISTERS: list[tuple[str, Callable[[], object]]] = [
    (name, kind) for kind in (dict, OrderedDict, set) for name, held in _GIVEN.items() if type(held) is kind
]


def initialize(module: nn.Module) -> None:
    """Give an object the flags that torch starts with, and empty registers of its own.

    Every derived site needs three modules, and torch's `__init__` of three takes half of what a derived site may cost.
    """
    given = module.__dict__
    given.update(_GIVEN)
    for name, kind in _REGISTERS:
        given[name] = kind()


def make_module_dict() -> nn.ModuleDict:
    """An empty one."""
    made = nn.ModuleDict.__new__(nn.ModuleDict)
    initialize(made)
    return made
