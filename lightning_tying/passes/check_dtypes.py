"""Refuses a shared parameter that sites of different dtypes read, unless its dtype is declared (error 71)."""

from __future__ import annotations

from lightning_tying.errors import Problem
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import Reader, advise_policy, check_readers, find_odd_reader, find_place


def check_dtypes(graph: SharingGraph) -> SharingGraph:
    """All sites that read a shared parameter have one dtype, or its policy declares one.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    return check_readers(graph, _check)


def _check(group: SharingGroup, readers: list[Reader]) -> Problem | None:
    odd = find_odd_reader(readers, lambda site: site.meta.dtype) if group.policy.dtype is None else None
    if odd is None:
        return None
    (use, first), (other, second) = readers[0], odd
    widest = max((first.meta, second.meta), key=lambda meta: meta.itemsize).dtype
    text = (
        f"`{group.name}` would be {first.meta.dtype} at {use.site} and {second.meta.dtype} at {other.site}. "
        f"{advise_policy(group, f'{{dtype: {widest}}}')}, or convert the module first."
    )
    return Problem("71", find_place(use, other), text)
