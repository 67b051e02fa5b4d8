"""Refuses a shared parameter that gets sparse gradients from one site and dense ones from another (error 73)."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import find_odd_reader, find_place, keep_first_of_family, uneven_groups


def check_gradients(graph: SharingGraph) -> SharingGraph:
    """All sites that read a shared parameter make gradients of one layout.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    problems = keep_first_of_family(_find_problems(graph))
    if problems:
        raise SpecError(problems)
    return graph


def _find_problems(graph: SharingGraph) -> Iterator[tuple[SharingGroup, Problem]]:
    for group, readers in uneven_groups(graph):
        odd = find_odd_reader(readers, lambda site: site.sparse)
        if odd is not None:
            first = readers[0]
            sparse, dense = (first, odd) if first[1].sparse else (odd, first)
            text = (
                f"{sparse[0].site} has sparse gradients and {dense[0].site} dense ones; torch cannot add them. "
                "Set sparse=False."
            )
            yield group, Problem("73", find_place(first[0], odd[0]), text)
