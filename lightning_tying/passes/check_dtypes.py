"""Refuses a shared parameter that sites of different dtypes read, unless its dtype is declared (error 71)."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import (
    advise_policy,
    find_odd_reader,
    find_place,
    keep_first_of_family,
    uneven_groups,
)


def check_dtypes(graph: SharingGraph) -> SharingGraph:
    """All sites that read a shared parameter have one dtype, or its policy declares one.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    problems = keep_first_of_family(_find_problems(graph))
    if problems:
        raise SpecError(problems)
    return graph


def _find_problems(graph: SharingGraph) -> Iterator[tuple[SharingGroup, Problem]]:
    for group, readers in uneven_groups(graph):
        odd = find_odd_reader(readers, lambda site: site.meta.dtype) if group.policy.dtype is None else None
        if odd is None:
            continue
        (use, first), (other, second) = readers[0], odd
        widest = max((first.meta, second.meta), key=lambda meta: meta.itemsize).dtype
        text = (
            f"`{group.name}` would be {first.meta.dtype} at {use.site} and {second.meta.dtype} at {other.site}. "
            f"{advise_policy(group, f'{{dtype: {widest}}}')}, or convert the module first."
        )
        yield group, Problem("71", find_place(use, other), text)
