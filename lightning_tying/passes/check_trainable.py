"""Refuses a shared parameter that is frozen at one site and trainable at another (error 74)."""

from __future__ import annotations

from lightning_tying.errors import Problem
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.graph.policies.inits import SOLVED
from lightning_tying.passes.group_sites import Reader, advise_policy, check_readers, find_odd_reader, find_place


def check_trainable(graph: SharingGraph) -> SharingGraph:
    """The sites of a shared parameter all train or all do not, where it takes its value from them.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    return check_readers(graph, _check)


def _check(group: SharingGroup, readers: list[Reader]) -> Problem | None:
    decided = group.policy.frozen is not None or group.policy.init.kind not in SOLVED
    odd = None if decided else find_odd_reader(readers, lambda site: site.meta.trainable)
    if odd is None:
        return None
    first = readers[0]
    frozen, trainable = (odd, first) if first[1].meta.trainable else (first, odd)
    text = (
        f"`{group.name}` is frozen at {frozen[0].site} and trainable at {trainable[0].site}. "
        f"{advise_policy(group, '{frozen: true}')} or {{frozen: false}}."
    )
    return Problem("74", find_place(first[0], odd[0]), text)
