"""Refuses a shared parameter that sites on different devices read (error 72)."""

from __future__ import annotations

from lightning_tying.errors import Problem
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import Reader, check_readers, find_odd_reader, find_place


def check_devices(graph: SharingGraph) -> SharingGraph:
    """All sites that read a shared parameter are on one device.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    return check_readers(graph, _check)


def _check(group: SharingGroup, readers: list[Reader]) -> Problem | None:
    odd = find_odd_reader(readers, lambda site: site.meta.device)
    if odd is None:
        return None
    (use, first), (other, second) = readers[0], odd
    text = (
        f"`{group.name}` would be on {first.meta.device} at {use.site} and on {second.meta.device} at "
        f"{other.site}. Move the module to one device first."
    )
    return Problem("72", find_place(use, other), text)
