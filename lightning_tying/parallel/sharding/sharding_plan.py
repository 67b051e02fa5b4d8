"""What FSDP2 gathers together, as frozen data that prints itself: units of modules, named by their FQNs. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

UnitKind: TypeAlias = Literal["root", "block", "blocks", "aliases", "values", "mixed", "written"]
TITLES: dict[UnitKind, str] = {
    "root": "the root, with all that no other unit has",
    "block": "a block",
    "blocks": "blocks that share parameters",
    "aliases": "the readers of shared parameters",
    "values": "what computes values of shared parameters",
    "mixed": "readers of shared parameters, and what computes values of them",
    "written": "as written",
}


@dataclass(frozen=True)
class ShardingUnit:
    """One call of `fully_shard`.

    Args:
        kind: why these modules are together.
        modules: their FQNs, in model order; the root's is empty. A derived site's parametrization is called
            `fc.parametrizations.weight`.
        parameters: the shared parameters in it, by the names of the graph.
        cells: how many numbers are gathered at once, each parameter once.
    """

    kind: UnitKind
    modules: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    cells: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The unit as plain content."""
        return {
            "kind": self.kind,
            "modules": list(self.modules),
            "parameters": list(self.parameters),
            "cells": self.cells,
        }

    def __str__(self) -> str:
        shared = f", shares {_some(self.parameters)}" if self.parameters else ""
        return f"fully_shard({_call(self.modules)})  {TITLES[self.kind]}{shared}; {self.cells:,} parameters"


@dataclass(frozen=True)
class ShardingPlan:
    """The units of one module, in the order in which they are sharded: what is inside another comes first.

    Every parameter is in one unit, and no module of a unit lies in another module of the same unit. The root is the
    last.
    """

    units: tuple[ShardingUnit, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-able data."""
        return {"units": [unit.to_dict() for unit in self.units]}

    def __str__(self) -> str:
        count = len(self.units)
        return "\n".join([f"FSDP2: {count} unit{'s' if count > 1 else ''}", *(f"    {unit}" for unit in self.units)])


def _call(modules: tuple[str, ...]) -> str:
    if len(modules) == 1:
        return modules[0] or "module"
    return f"[{_some(modules, 6)}]"


def _some(names: tuple[str, ...], most: int = 4) -> str:
    more = f", … {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
