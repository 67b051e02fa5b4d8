"""A plan and a module in; nothing out when every tie holds, else one error that names all that do not, with causes."""

from __future__ import annotations

from torch import nn

from lightning_tying.errors import TieBroken
from lightning_tying.graph.ir import SharingGroup
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import Slot, find_slots
from lightning_tying.lowering.state import find_tied, require_state

_REMEDY = "To tie again, with the owner's values: tie(module, get_plan(module))."


def verify_plan(plan: Plan, module: nn.Module) -> None:
    """Check that all sites of each sharing group hold one and the same `nn.Parameter`.

    Args:
        plan: what the module should be tied by.
        module: the tied root.

    Raises:
        TieBroken: with each broken group, its sites and the likely cause.
    """
    found = [problem for group in plan.graph.groups for problem in _check_group(group, module)]
    if found:
        raise TieBroken("\n".join([*found, _REMEDY]))


def _check_group(group: SharingGroup, module: nn.Module) -> list[str]:
    if len(group.uses) < 2:
        return []
    problems: list[str] = []
    slots: list[Slot] = []
    for site in group.sites:
        try:
            slot = find_slots(module, [site])[site]
            slot.read()
        except TieBroken as error:
            problems.append(f"`{group.name}`: {error}")
        else:
            slots.append(slot)
    if slots and slots[0].site == group.owner:
        owner = slots[0]
        problems += [_describe(group, owner, slot) for slot in slots[1:] if slot.read() is not owner.read()]
    return problems


def _describe(group: SharingGroup, owner: Slot, slot: Slot) -> str:
    one, other = owner.read(), slot.read()
    if one.device != other.device:
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
            f"the parameter of {type(slot.module).__name__} or {type(owner.module).__name__} was replaced: assigned, "
            "loaded with assign=True, or materialized in a part of the model by itself"
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
