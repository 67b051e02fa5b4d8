"""Refuses a shared parameter that is frozen at one site and trainable at another (error 74)."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.inits import SOLVED
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import (
    advise_policy,
    find_odd_reader,
    find_place,
    keep_first_of_family,
    uneven_groups,
)


def check_trainable(graph: SharingGraph) -> SharingGraph:
    """The sites of a shared parameter all train or all do not, where it takes its value from them.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    problems = keep_first_of_family(_find_problems(graph))
    if problems:
        raise SpecError(problems)
    return graph


def _find_problems(graph: SharingGraph) -> Iterator[tuple[SharingGroup, Problem]]:
    for group, readers in uneven_groups(graph):
        decided = group.policy.frozen is not None or group.policy.init.kind not in SOLVED
        odd = None if decided else find_odd_reader(readers, lambda site: site.meta.trainable)
        if odd is not None:
            first = readers[0]
            frozen, trainable = (odd, first) if first[1].meta.trainable else (first, odd)
            text = (
                f"`{group.name}` is frozen at {frozen[0].site} and trainable at {trainable[0].site}. "
                f"{advise_policy(group, '{frozen: true}')} or {{frozen: false}}."
            )
            yield group, Problem("74", find_place(first[0], odd[0]), text)
