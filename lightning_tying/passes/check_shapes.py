"""Refuses a shared parameter that sites of different shapes read (error 60)."""

from __future__ import annotations

from lightning_tying.errors import Problem
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.graph.report import name_place
from lightning_tying.passes.group_sites import Reader, check_readers, find_odd_reader, find_place


def check_shapes(graph: SharingGraph) -> SharingGraph:
    """All sites that read a shared parameter as it is have its shape.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    return check_readers(graph, _check)


def _check(group: SharingGroup, readers: list[Reader]) -> Problem | None:
    bare = [reader for reader in readers if reader[0].bare]
    odd = find_odd_reader(bare, lambda site: site.meta.shape)
    if odd is None:
        return None
    place = find_place(bare[0][0], odd[0])
    return Problem("60", place, f"{_describe(group, bare[0], odd)} {_advise(bare[0], odd)}")


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
