"""A module with tied ones inside in, the penalties of their specs as one differentiable number out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lightning_tying.algebra.primitives.node import Inputs
from lightning_tying.lowering.draw_into import read_whole
from lightning_tying.lowering.penalty_program import PenaltyProgram, make_programs
from lightning_tying.lowering.resolve import Slot, find_slots
from lightning_tying.lowering.state import TiedState, find_tied
from lightning_tying.lowering.unwrap import unwrap


def reckon_penalty(module: nn.Module) -> Tensor | None:
    """Σ λ·‖site − value‖² over every penalty of every tied module in `module`, with gradients to both sides.

    The squared Frobenius norm is a sum over cells, without ½. It is computed in float32 or wider, with autocast off.

    Args:
        module: a tied module, or one with tied modules inside (a LightningModule).

    Returns:
        A number of shape []; None where no spec has a penalty.
    """
    terms = [term for _, root, state in find_tied(unwrap(module)) for term in _reckon_terms(root, state)]
    if not terms:
        return None
    return torch.stack([term.to(terms[0]) for term in terms]).sum()


def has_penalty(module: nn.Module) -> bool:
    """Whether a spec of a tied module in `module` has a penalty that is not 0."""
    return any(
        penalty.weight > 0 for _, _, state in find_tied(unwrap(module)) for penalty in state.plan.graph.penalties
    )


def _reckon_terms(root: nn.Module, state: TiedState) -> list[Tensor]:
    if state.penalties is None:
        state.penalties = make_programs(state.plan.graph)
    if not state.penalties:
        return []
    slots = find_slots(root, dict.fromkeys(fqn for each in state.penalties for fqn in (each.site, *each.places)))
    return [_reckon_term(each, slots, root.training) for each in state.penalties]


def _reckon_term(penalty: PenaltyProgram, slots: Mapping[str, Slot], training: bool) -> Tensor:
    parameters = [slots[place].read() for place in penalty.places]
    with torch.autocast(parameters[0].device.type, enabled=False):
        slot = slots[penalty.site]
        site = _widen(getattr(slot.module, slot.name))  # by attribute: a derived site is computed
        value = penalty.program.forward(Inputs([_widen(parameter) for parameter in parameters], training))
        return penalty.weight * (site - value).square().sum()


def _widen(tensor: Tensor) -> Tensor:
    whole = read_whole(tensor)  # outside of the network's forward a sharded one is not gathered
    return whole.to(torch.promote_types(whole.dtype, torch.float32))
