"""A plan and a module in; nothing out when every tie holds, else one error that names all that do not, with causes."""

from __future__ import annotations

from torch import nn

from lightning_tying.errors import TieBroken
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.adapters import guard_adapters
from lightning_tying.lowering.again import EXPLAIN_SHARDED
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import Slot, explain_undone, find_slots
from lightning_tying.lowering.runtime.parametrize import find_value
from lightning_tying.lowering.state import find_tied, require_state

_REMEDY = "To tie again, with the owner's values: tie(module, get_plan(module))."


def verify_plan(plan: Plan, module: nn.Module) -> None:
    """Check that all places of each sharing group, sites and slots, hold one and the same `nn.Parameter`.

    Args:
        plan: what the module should be tied by.
        module: the tied root.

    Raises:
        TieBroken: with each broken group, its sites and the likely cause.
    """
    missing, undone = _find_undone(plan.graph, module)
    parted: list[str] = []
    for group in plan.graph.groups:
        if len(group.uses) > 1:
            places = [use.place for use in group.uses if not use.slot or use.site not in undone]
            slots = _find_present(group, places, module, missing)
            parted += [_describe(group, slots[0], slot) for slot in slots[1:] if slot.read() is not slots[0].read()]
    if missing:  # tie would raise as well: each line says what comes first
        raise TieBroken("\n".join([*missing, *parted]))
    if parted:
        raise TieBroken("\n".join([*parted, _REMEDY]))


def _find_undone(graph: SharingGraph, module: nn.Module) -> tuple[list[str], frozenset[str]]:
    """The derived sites that nothing computes any more: a text for each, and their FQNs."""
    texts: list[str] = []
    undone: list[str] = []
    for derived in graph.derived:
        try:
            slot = find_slots(module, [derived.site])[derived.site]
        except TieBroken as error:
            texts.append(str(error))
        else:
            if find_value(slot.module, slot.name) is not None:
                continue
            texts.append(explain_undone(derived.site, slot.module))
        undone.append(derived.site)
    return texts, frozenset(undone)


def _find_present(group: SharingGroup, places: list[str], module: nn.Module, missing: list[str]) -> list[Slot]:
    """The places of a group that still hold a parameter; the others are told."""
    slots: list[Slot] = []
    for place in places:
        try:
            slot = find_slots(module, [place])[place]
            slot.read()
        except TieBroken as error:
            missing.append(f"`{group.name}`: {error}")
        else:
            slots.append(slot)
    return slots


def _describe(group: SharingGroup, owner: Slot, slot: Slot) -> str:
    one, other = owner.read(), slot.read()
    if is_sharded(one) != is_sharded(other):
        cause = EXPLAIN_SHARDED.format(owner.site, slot.site)
    elif one.device != other.device:
        cause = f"they are on {one.device} and {other.device}: a part was moved by itself. Move the tied module"
    elif one.shape != other.shape:
        cause = f"they are {list(one.shape)} and {list(other.shape)}: one was resized. Untie before resizing"
    elif one.dtype != other.dtype:
        cause = f"they are {one.dtype} and {other.dtype}: a part was converted by itself. Convert the tied module"
    elif not one.is_meta and one.data_ptr() == other.data_ptr() and one.data_ptr() != 0:
        cause = (
            "they share memory but are two parameters, as after torch.export, or load_state_dict(assign=True) of a part"
        )
    else:
        cause = (
            "the parameter of one of them was replaced: assigned, untied or tied in a part of the model, or loaded "
            "with assign=True or made real (to_empty) in a part by itself. Do that with the whole tied module"
        )
    return f"`{group.name}`: {slot.site} does not read the parameter of {owner.site} any more; {cause}."


def verify_tied(module: nn.Module) -> None:
    """Check the plan of a tied module and of every tied module inside it.

    Raises:
        TieBroken: as `verify_plan` does.
        ApplyError: nothing is tied.
    """
    tied = list(find_tied(module))
    if not tied:
        require_state(module)
    for _, root, state in tied:
        verify_plan(state.plan, root)
        guard_adapters(root, state.plan)
