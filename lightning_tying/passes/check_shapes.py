"""Refuses a shared parameter that sites of different shapes read (error 60)."""

from __future__ import annotations

from lightning_tying.errors import Problem
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup, Site
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
    advice = _advise(bare[0], odd) + (_advise_vocabularies(group, odd) if _are_tables(bare[0][1], odd[1]) else "")
    return Problem("60", place, f"{_describe(group, bare[0], odd)} {advice}")


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


def _are_tables(one: Site, other: Site) -> bool:
    """Whether two sites are tables of different numbers of words, at least one of them an embedding."""
    (rows, *width), (other_rows, *other_width) = one.meta.shape or (0,), other.meta.shape or (0,)
    are_tables = len(width) == 1 and width == other_width and rows != other_rows
    return are_tables and any(site.module.endswith("Embedding") for site in (one, other))


def _advise_vocabularies(group: SharingGroup, odd: Reader) -> str:
    """Tables of two vocabularies: a row of the one is another word than that row of the other."""
    table = group.name.family if odd[0].written.text else "vocab"
    return (
        " Tables of two vocabularies share rows by a row map, never by index: `lightning-tying vocab unite` makes it; "
        f"write rows({table}, map='vocab/rows.safetensors#‹vocabulary›')."
    )
