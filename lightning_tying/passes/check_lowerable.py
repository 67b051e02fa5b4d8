"""Refuses uses that an alias cannot carry out: another `grad` than `sum`, another dtype than the site's."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import keep_first_of_family

REASON = "needs a parametrization, and this release makes aliases only"


def check_lowerable(graph: SharingGraph) -> SharingGraph:
    """Every use is an alias: its value is a bare name, its `grad` is `sum`, no other `dtype` is declared.

    Raises:
        SpecError: one problem, `lowering`, for each family and entry.
    """
    problems = keep_first_of_family(_find_problems(graph))
    if problems:
        raise SpecError(problems)
    return graph


def _find_problems(graph: SharingGraph) -> Iterator[tuple[SharingGroup, Problem]]:
    for group, use in graph.uses():
        if use.grad.kind != "sum":
            text = f"`grad: {use.grad.kind}` of `{group.name}` at {use.site} {REASON}. Leave grad out."
            yield group, Problem("lowering", use.location, text)
    declared = [group for group in graph.groups if group.policy.dtype is not None]
    by_fqn = {site.fqn: site for site in graph.sites} if declared else {}
    for group in declared:
        readers = ((use, by_fqn[use.site].meta.dtype) for use in group.uses if by_fqn)
        other = next((reader for reader in readers if reader[1] != group.policy.dtype), None)
        if other is not None:
            use, dtype = other
            text = (
                f"`{group.name}` is declared {group.policy.dtype} and is {dtype} at {use.site}; the cast {REASON}. "
                "Leave dtype out, or convert the module first."
            )
            yield group, Problem("lowering", use.location, text)
