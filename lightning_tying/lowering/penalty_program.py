"""A graph in; for each of its penalties, what is compared with what, ready to be computed, out."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_tying.algebra.expand import expand
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.graph.ir import SharingGraph


@dataclass(frozen=True, eq=False)
class PenaltyProgram:
    """One penalty.

    Args:
        site: the FQN whose tensor is compared.
        program: computes what it is compared with.
        places: where the parameters are that the program reads, by the number of their slot.
        weight: λ.
    """

    site: str
    program: Node
    places: tuple[str, ...]
    weight: float


def make_programs(graph: SharingGraph) -> tuple[PenaltyProgram, ...]:
    """A program for each penalty with a weight above 0."""
    keepers = {group.name: group.keeper for group in graph.groups} if graph.penalties else {}
    programs: list[PenaltyProgram] = []
    for penalty in graph.penalties:
        if penalty.weight > 0:
            names = penalty.expression.parameters
            program = expand(penalty.expression, {name: number for number, name in enumerate(names)})
            places = tuple(keepers[name] for name in names)
            programs.append(PenaltyProgram(penalty.site, program, places, penalty.weight))
    return tuple(programs)
