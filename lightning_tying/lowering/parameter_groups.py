"""A module in, its trainable parameters by optimizer policy out: what `torch.optim` calls parameter groups."""

from __future__ import annotations

from typing import TypedDict

from torch import nn

from lightning_tying.lowering.resolve import find_slots
from lightning_tying.lowering.state import find_tied
from lightning_tying.lowering.unwrap import unwrap


class ParameterGroup(TypedDict):
    """Parameters with one policy; the scales are factors of the optimizer's own settings."""

    params: list[nn.Parameter]
    lr_scale: float
    weight_decay_scale: float


def parameter_groups(module: nn.Module) -> list[ParameterGroup]:
    """Every trainable parameter exactly once, in model order, grouped by `lr` and `weight_decay` of the spec.

    Args:
        module: a tied module, or one with tied modules inside (a LightningModule); ties are found by plan.

    Returns:
        The parameters without a policy first, then the others in the order of their first parameter.
        A group without parameters is left out.
    """
    module = unwrap(module)
    scales = _find_scales(module)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {(1.0, 1.0): []}
    for parameter in module.parameters():
        if parameter.requires_grad:
            groups.setdefault(scales.get(id(parameter), (1.0, 1.0)), []).append(parameter)
    return [
        ParameterGroup(params=members, lr_scale=lr, weight_decay_scale=weight_decay)
        for (lr, weight_decay), members in groups.items()
        if members
    ]


def _find_scales(module: nn.Module) -> dict[int, tuple[float, float]]:
    scales: dict[int, tuple[float, float]] = {}
    for _, root, state in find_tied(module):
        groups = state.plan.graph.groups
        slots = find_slots(root, (group.keeper for group in groups))
        for group in groups:
            scales[id(slots[group.keeper].read())] = (group.policy.lr, group.policy.weight_decay)
    return scales
