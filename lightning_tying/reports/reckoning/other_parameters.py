"""A graph and its module in; the graph with the parameters that cannot be shared among its private ones out."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from lightning_tying.graph.inventory import Inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.resolve import find_slots
from lightning_tying.reports.reckoning.live_meta import read_meta


def add_other_parameters(graph: SharingGraph, module: nn.Module, inventory: Inventory) -> SharingGraph:
    """Count whole numbers, complex numbers and sparse tensors too: parameters that no equation binds.

    Args:
        graph: of `module`, of its floating-point parameters.
        module: on any device.
        inventory: of `module`.
    """
    fqns = [tensor.fqn for tensor in inventory.unbindable if tensor.reason in {"dtype", "layout"}]
    slots = find_slots(module, fqns)
    once = {id(slot.read()): (fqn, slot.read()) for fqn, slot in reversed(slots.items())}  # the first FQN remains
    others = tuple((fqn, read_meta(parameter)) for fqn, parameter in reversed(once.values()))
    return replace(graph, private=(*graph.private, *others)) if others else graph
