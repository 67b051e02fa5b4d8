"""A real module and its optimizer in, the savings report out: measured instead of predicted."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from lightning_tying.graph.discover import discover_graph
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.reports.reckoning.other_parameters import add_other_parameters
from lightning_tying.reports.savings import SavingsReport, reckon_savings


def measure_savings(module: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> SavingsReport:
    """Count what a module has now, by the identity of its parameters.

    Args:
        module: tied or not; ties made by hand count as well.
        optimizer: of that module, after its first step; its state is counted. Without it, or before its first
            step, the state of AdamW is forecast.

    Returns:
        `before` is reckoned (every site its own parameter), `after` is measured.
    """
    inventory = take_inventory(module)
    report = reckon_savings(add_other_parameters(discover_graph(inventory), module, inventory))
    cells = _count_state(optimizer) if optimizer is not None else 0
    if not cells or not report.after.trainable:
        return report
    states = cells / report.after.trainable
    before = replace(report.before, optimizer_cells=round(report.before.trainable * states))
    return replace(report, before=before, after=replace(report.after, optimizer_cells=cells))


def _count_state(optimizer: torch.optim.Optimizer) -> int:
    """The cells of all that is kept for each cell of a parameter; `step` is a counter, also where that is a number."""
    return sum(
        value.numel()
        for parameter, state in optimizer.state.items()
        for name, value in state.items()
        if name != "step" and isinstance(value, Tensor) and value.shape == parameter.shape
    )
