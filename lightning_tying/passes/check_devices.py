"""Refuses a shared parameter that sites on different devices read (error 72)."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import find_odd_reader, find_place, keep_first_of_family, uneven_groups


def check_devices(graph: SharingGraph) -> SharingGraph:
    """All sites that read a shared parameter are on one device.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    problems = keep_first_of_family(_find_problems(graph))
    if problems:
        raise SpecError(problems)
    return graph


def _find_problems(graph: SharingGraph) -> Iterator[tuple[SharingGroup, Problem]]:
    for group, readers in uneven_groups(graph):
        odd = find_odd_reader(readers, lambda site: site.meta.device)
        if odd is not None:
            (use, first), (other, second) = readers[0], odd
            text = (
                f"`{group.name}` would be on {first.meta.device} at {use.site} and on {second.meta.device} at "
                f"{other.site}. Move the module to one device first."
            )
            yield group, Problem("72", find_place(use, other), text)
