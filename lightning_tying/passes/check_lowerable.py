"""Refuses uses that an alias cannot carry out: another `grad` than `sum`, another dtype than the site's."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import group_sites, keep_first_of_family

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
    for group, readers in group_sites(graph):
        declared = group.policy.dtype
        other = next((reader for reader in readers if declared not in (None, reader[1].meta.dtype)), None)
        if other is not None:
            use, site = other
            text = (
                f"`{group.name}` is declared {declared} and is {site.meta.dtype} at {use.site}; the cast {REASON}. "
                "Leave dtype out, or convert the module first."
            )
            yield group, Problem("lowering", use.location, text)
