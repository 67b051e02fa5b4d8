"""A plan and a module in; nothing out when every tie holds, else one error that names all that do not, with causes."""

from __future__ import annotations

from torch import nn

from lightning_tying.errors import TieBroken
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.activation import check_reentrant
from lightning_tying.lowering.adapters import guard_adapters
from lightning_tying.lowering.causes import explain_parted, explain_undone
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import Slot, find_slots
from lightning_tying.lowering.runtime.parametrize import find_value
from lightning_tying.lowering.state import find_tied, require_state
from lightning_tying.lowering.strategy_words import name_strategy

_REMEDY = "To tie again, with the owner's values: tie(module, get_plan(module))."


def verify_plan(plan: Plan, module: nn.Module, strategy: str | None = None) -> None:
    """Check that all places of each sharing group, sites and slots, hold one and the same `nn.Parameter`.

    Args:
        plan: what the module should be tied by.
        module: the tied root.
        strategy: what has distributed the module, for the message; None to find it.

    Raises:
        TieBroken: with each broken group, its sites, the strategy and the likely cause.
    """
    missing, undone = _find_undone(plan.graph, module)
    parted: list[tuple[SharingGroup, Slot, Slot]] = []
    for group in plan.graph.groups:
        if len(group.uses) > 1:
            places = [use.place for use in group.uses if not use.slot or use.site not in undone]
            slots = _find_present(group, places, module, missing)
            parted += [(group, slots[0], slot) for slot in slots[1:] if slot.read() is not slots[0].read()]
    if not missing and not parted:
        return
    strategy = name_strategy(module) if strategy is None else strategy
    lines = [*missing, *(_describe(group, owner, slot, strategy) for group, owner, slot in parted)]
    if strategy:
        lines.append(f"Strategy: {strategy}.")
    if not missing:  # tie would raise as well: each line says what comes first
        lines.append(_REMEDY)
    raise TieBroken("\n".join(lines))


def _find_undone(graph: SharingGraph, module: nn.Module) -> tuple[list[str], frozenset[str]]:
    """The derived sites that nothing computes any more: a text for each, and their FQNs."""
    texts: list[str] = []
    undone: list[str] = []
    for derived in graph.derived:
        try:
            slot = find_slots(module, [derived.site])[derived.site]
        except TieBroken as error:
            texts.append(_name_groups(graph, derived.site) + str(error))
        else:
            if find_value(slot.module, slot.name) is not None:
                continue
            texts.append(_name_groups(graph, derived.site) + explain_undone(derived.site, slot.module))
        undone.append(derived.site)
    return texts, frozenset(undone)


def _name_groups(graph: SharingGraph, site: str) -> str:
    """The sharing groups that a derived site reads, before what has happened to it."""
    names = [f"`{group.name}`" for group in graph.groups if len(group.uses) > 1 and site in group.sites]
    return f"{', '.join(names)}: " if names else ""


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


def _describe(group: SharingGroup, owner: Slot, slot: Slot, strategy: str) -> str:
    cause = explain_parted(owner.site, owner.read(), slot.site, slot.read(), strategy)
    return f"`{group.name}`: {slot.site} does not read the parameter of {owner.site} any more; {cause}."


def verify_tied(module: nn.Module, strategy: str | None = None) -> None:
    """Check the plan of a tied module and of every tied module inside it.

    Args:
        module: without the wrappers around it.
        strategy: what has distributed the module, for messages; None to find it.

    Raises:
        TieBroken: as `verify_plan` does.
        ApplyError: nothing is tied, or shared parameters are read under reentrant activation checkpointing.
    """
    tied = list(find_tied(module))
    if not tied:
        require_state(module)
    for _, root, state in tied:
        verify_plan(state.plan, root, strategy)
        guard_adapters(root, state.plan)
        check_reentrant(root, state.plan)
