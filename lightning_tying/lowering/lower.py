"""A sharing graph that the passes have checked in, the plan that ties a model accordingly out."""

from __future__ import annotations

from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.plan import Plan, make_steps
from lightning_tying.spec.schema import SharingSpec


def lower(graph: SharingGraph, spec: SharingSpec) -> Plan:
    """Every derived site becomes a `Parametrize` step, every other use but the keeper's an `Alias` step.

    Args:
        graph: sharing groups in model order.
        spec: what was written; the plan keeps it.
    """
    return Plan(spec, graph, make_steps(graph))
