"""A graph in, each sharing group with the sites that read it out: what checks look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lightning_tying.errors import Location, Problem
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup, Site, Use

Reader = tuple[Use, Site]


def uneven_groups(graph: SharingGraph) -> Iterator[tuple[SharingGroup, list[Reader]]]:
    """Every group whose sites are not all alike, with its uses and their sites: what checks look at."""
    for group, sites in graph.uneven:
        yield group, list(zip(group.uses, sites, strict=True))


def find_odd_reader(readers: list[Reader], read: Callable[[Site], object]) -> Reader | None:
    """The first use whose site differs from the owner's in what `read` says of it."""
    expected = read(readers[0][1])
    return next((reader for reader in readers if read(reader[1]) != expected), None)


def find_place(first: Use, second: Use) -> Location:
    """Where a difference between two uses is told: at the later of their entries."""
    lines = (first.location.line or 0, second.location.line or 0)
    return first.location if lines[0] > lines[1] else second.location


def keep_first_of_family(problems: Iterator[tuple[SharingGroup, Problem]]) -> list[Problem]:
    """One problem for each family and place: what is wrong with `W[0]` is wrong with `W[1]` for the same reason."""
    kept: dict[tuple[str, Location], Problem] = {}
    for group, problem in problems:
        kept.setdefault((group.name.family, problem.location), problem)
    return list(kept.values())


def advise_policy(group: SharingGroup, policy: str) -> str:
    """`Write parameters: {E: {frozen: true}}`; a tie without a name is given one first."""
    if group.uses[0].written.text:
        return f"Write parameters: {{{group.name.family}: {policy}}}"
    return f"Give the tie a name, name: E, and write parameters: {{E: {policy}}}"
