"""A tied module and a plan in; its ties restored by that plan, or a refusal that says in what the plans differ."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.draw import is_drawn
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.link import link
from lightning_tying.lowering.plan import Alias, Plan
from lightning_tying.lowering.preconditions import UNTIE_FIRST
from lightning_tying.lowering.reset import install_resets, remove_resets
from lightning_tying.lowering.resolve import Slot, find_slots
from lightning_tying.lowering.retie import retie
from lightning_tying.lowering.state import TiedState

EXPLAIN_SHARDED = (
    "fully_shard took one of {} and {} and not the other. Give their modules to one call, fully_shard([one, other]), "
    "before the modules above them"
)


def tie_again(plan: Plan, module: nn.Module, state: TiedState) -> None:
    """Restore the ties of a tied module by the plan that it is tied by, whatever order its equations came in.

    Sites that have been untied since take part again when `plan` is the one from before; what is left of their
    group gives the values.

    Args:
        plan: means the same as the module's, or as the module's before `untie(module, sites)`.
        module: the tied root.
        state: what it remembers.

    Raises:
        ApplyError: the plan means something else, or sites cannot be tied as they are now; nothing has changed.
        TieBroken: a parameter is missing; nothing has changed.
    """
    meant = _meaning(plan.graph)
    if meant == _meaning(state.plan.graph):
        _check_alike(state.plan.graph, find_slots(module, state.plan.sites))
        retie(module)
    elif state.whole is not None and meant == _meaning(state.whole.graph):
        _take_back(state.whole, module, state)
    else:
        raise ApplyError(
            f"This {type(module).__name__} is already tied by another spec. "
            f"{_explain(state.whole or state.plan, plan)} {UNTIE_FIRST}"
        )


def _meaning(graph: SharingGraph) -> Mapping[Hashable, Hashable]:
    """What two plans for one module may differ in; device, dtype and shapes are the module's."""
    return {group.name: (group.uses, group.policy) for group in graph.groups}


def _take_back(whole: Plan, module: nn.Module, state: TiedState) -> None:
    slots = find_slots(module, whole.sites)
    left = {group.name: group.owner for group in state.plan.graph.groups}
    keepers = {group.owner: left.get(group.name, group.owner) for group in whole.graph.groups}
    _check_alike(whole.graph, slots)
    link(
        (
            Alias(site, keepers[group.owner])
            for group in whole.graph.groups
            for site in group.sites
            if site != keepers[group.owner]
        ),
        slots,
    )
    remove_resets(module)
    state.plan, state.whole = whole, None
    state.pending = frozenset(
        group.owner for group in whole.graph.groups if is_drawn(group.policy.init) and slots[group.owner].read().is_meta
    )
    install_resets(whole, module)


def _check_alike(graph: SharingGraph, slots: Mapping[str, Slot]) -> None:
    problems = [problem for group in graph.groups for problem in _compare(group, slots)]
    if problems:
        raise ApplyError("\n".join(["Sites cannot be tied again as they are now:", *problems]))


def _compare(group: SharingGroup, slots: Mapping[str, Slot]) -> list[str]:
    owner = slots[group.owner].read()
    problems: list[str] = []
    for site in group.sites[1:]:
        parameter = slots[site].read()
        if parameter is owner:
            continue
        pair = f"`{group.name}`: {group.owner} is {list(owner.shape)} and {site} {list(parameter.shape)}"
        if parameter.shape != owner.shape:
            problems.append(f"{pair}. Give them one shape, or untie them.")
        elif is_sharded(parameter) != is_sharded(owner):
            problems.append(f"`{group.name}`: {EXPLAIN_SHARDED.format(site, group.owner)}")
    return problems


def _explain(mine: Plan, other: Plan) -> str:
    """The first difference, in the order of the new plan."""
    one, two = ({str(group.name): group for group in plan.graph.groups} for plan in (mine, other))
    for name, group in two.items():
        if name not in one:
            return f"Its spec has no shared parameter `{name}`."
        if one[name].sites != group.sites:
            return f"Its `{name}` is read by {_some(one[name].sites)}, not by {_some(group.sites)}."
        if one[name] != group:
            return f"Its `{name}` has another policy (init, lr, weight_decay, frozen, dtype) or gradient."
    missing = next((name for name in one if name not in two), "")
    return f"Its spec also has the shared parameter `{missing}`."


def _some(sites: tuple[str, ...], most: int = 4) -> str:
    more = f" and {len(sites) - most} more" if len(sites) > most else ""
    return ", ".join(sites[:most]) + more
