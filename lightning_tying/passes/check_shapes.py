"""Refuses a shared parameter that sites of different shapes read (error 60)."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.graph.report import name_place
from lightning_tying.passes.group_sites import Reader, find_odd_reader, find_place, keep_first_of_family, uneven_groups


def check_shapes(graph: SharingGraph) -> SharingGraph:
    """All sites that read a shared parameter as it is have its shape.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    problems = keep_first_of_family(_find_problems(graph))
    if problems:
        raise SpecError(problems)
    return graph


def _find_problems(graph: SharingGraph) -> Iterator[tuple[SharingGroup, Problem]]:
    for group, readers in uneven_groups(graph):
        odd = find_odd_reader(readers, lambda site: site.meta.shape)
        if odd is not None:
            place = find_place(readers[0][0], odd[0])
            yield group, Problem("60", place, f"{_describe(group, readers[0], odd)} {_advise(readers[0], odd)}")


def _describe(group: SharingGroup, first: Reader, odd: Reader) -> str:
    places = [f"{list(site.meta.shape)} at {site.fqn} ({name_place(use.location)})" for use, site in (first, odd)]
    return f"`{group.name}` is {places[0]} and {places[1]}."


def _advise(first: Reader, odd: Reader) -> str:
    """A capture that tells the sites apart, if their entry has one that it leaves out; `t` for a transposed shape."""
    written = odd[0].written
    if not written.text:
        return f"Take {odd[0].site} out of the tie."
    wider = f"Add a capture that tells them apart: {written.wider}" if written.wider else "Give one another name"
    transposed = first[1].meta.shape == odd[1].meta.shape[::-1]
    return f"{wider}; or read one transposed: t({written.text})." if transposed else f"{wider}."
