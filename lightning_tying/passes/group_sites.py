"""A graph in, each sharing group with the sites that read it out: what checks look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lightning_tying.errors import Location, Problem, SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup, Site, Use

Reader = tuple[Use, Site]
Check = Callable[[SharingGroup, list[Reader]], Problem | None]


def find_odd_reader(readers: list[Reader], read: Callable[[Site], object]) -> Reader | None:
    """The first use whose site differs from the owner's in what `read` says of it."""
    if not readers:
        return None
    expected = read(readers[0][1])
    return next((reader for reader in readers if read(reader[1]) != expected), None)


def find_place(first: Use, second: Use) -> Location:
    """Where a difference between two uses is told: at the later of their entries."""
    lines = (first.location.line or 0, second.location.line or 0)
    return first.location if lines[0] > lines[1] else second.location


def refuse(graph: SharingGraph, problems: Iterable[tuple[SharingGroup, Problem]]) -> SharingGraph:
    """The graph, where nothing was found.

    One problem is told for each family and place: what is wrong with `W[0]` is wrong with `W[1]` for the same reason.

    Raises:
        SpecError: with the problems.
    """
    kept: dict[tuple[str, Location], Problem] = {}
    for group, problem in problems:
        kept.setdefault((group.name.family, problem.location), problem)
    if kept:
        raise SpecError(kept.values())
    return graph


def check_readers(graph: SharingGraph, check: Check) -> SharingGraph:
    """Run a check over every group whose sites are not all alike.

    Args:
        graph: what to check.
        check: from a group and its uses with their sites to what is wrong, if anything is.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    uneven = ((group, list(zip(group.uses, sites, strict=True))) for group, sites in graph.uneven)
    found = ((group, check(group, readers)) for group, readers in uneven)
    return refuse(graph, ((group, problem) for group, problem in found if problem is not None))


def advise_policy(group: SharingGroup, policy: str) -> str:
    """`Write parameters: {E: {frozen: true}}`; a tie without a name is given one first."""
    if group.uses[0].written.text:
        return f"Write parameters: {{{group.name.family}: {policy}}}"
    return f"Give the tie a name, name: E, and write parameters: {{E: {policy}}}"
