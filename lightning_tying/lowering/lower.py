"""A sharing graph in, the plan that ties a model accordingly out; what cannot be carried out is refused here."""

from __future__ import annotations

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.draw import needs_matrix
from lightning_tying.lowering.plan import Plan, make_steps
from lightning_tying.spec.schema import SharingSpec

_FITS = frozenset({"svd", "svd_joint", "match"})  # solved together with what a function brings


def lower(graph: SharingGraph, spec: SharingSpec) -> Plan:
    """Every use but the owner's becomes one `Alias` step.

    Args:
        graph: sharing groups in model order.
        spec: what was written; the plan keeps it.

    Raises:
        SpecError: an initial value that cannot be made for a group, all of them at once.
    """
    problems = [problem for group in graph.groups if (problem := _check_init(group)) is not None]
    if problems:
        raise SpecError(problems)
    return Plan(spec, graph, make_steps(graph.groups))


def _check_init(group: SharingGroup) -> Problem | None:
    init, location = group.policy.init, group.uses[0].location
    if init.kind in _FITS:
        text = f"init {init} is for what a function brings, and `{group.name}` is read as it is. Write mean or first."
        return Problem("init", location, text)
    if needs_matrix(init) and len(group.meta.shape) < 2:
        shape = ", ".join(map(str, group.meta.shape))
        text = f"init {init} needs two dimensions; {group.owner} is [{shape}]. Write normal, zeros or another init."
        return Problem("init", location, text)
    return None
