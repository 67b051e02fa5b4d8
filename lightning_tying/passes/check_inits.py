"""Refuses initial values that cannot be made for a parameter that sites read as it is."""

from __future__ import annotations

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import keep_first_of_family

_FITS = frozenset({"svd", "svd_joint", "match"})  # solved together with what a function brings
_MATRICES = frozenset({"kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "orthogonal"})


def check_inits(graph: SharingGraph) -> SharingGraph:
    """Every initial value goes with its parameter.

    Raises:
        SpecError: one problem, `init`, for each family and entry.
    """
    found = ((group, problem) for group in graph.groups if (problem := _check(group)) is not None)
    problems = keep_first_of_family(found)
    if problems:
        raise SpecError(problems)
    return graph


def _check(group: SharingGroup) -> Problem | None:
    init, location = group.policy.init, group.uses[0].location
    if init.kind in _FITS:
        text = f"init {init} is for what a function brings, and `{group.name}` is read as it is. Write mean or first."
        return Problem("init", location, text)
    if init.kind in _MATRICES and len(group.meta.shape) < 2:
        shape = ", ".join(map(str, group.meta.shape))
        text = f"init {init} needs two dimensions; {group.owner} is [{shape}]. Write normal, zeros or another init."
        return Problem("init", location, text)
    return None
