"""A module in; every site, or the named ones, holds a parameter of its own afterwards, values kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph, SharingGroup, TensorMeta
from lightning_tying.lowering.plan import Plan, make_steps
from lightning_tying.lowering.preconditions import check_sites
from lightning_tying.lowering.reset import install_resets, remove_resets
from lightning_tying.lowering.resolve import Slot, find_slots, without_wrappers
from lightning_tying.lowering.retie import remove_hooks
from lightning_tying.lowering.state import TiedState, find_tied
from lightning_tying.spec.nearest import nearest_name


def untie_module(module: nn.Module, sites: Iterable[str] | None = None) -> None:
    """Part what is one parameter now; ties that the module had before any spec are parted as well.

    Args:
        module: a tied root, a module with tied ones inside, or any module with ties made by hand.
        sites: FQNs in `module`; all sites if None. The sites of a group that are not named keep its
            parameter; if all are named, the first keeps it.

    Raises:
        ApplyError: a name is not a site, or is one of two names of one module; nothing has changed.
    """
    slots = _all_slots(module)
    named = check_sites(sites)
    wanted = list(slots) if named is None else list(dict.fromkeys(named))
    if named is not None:
        _check_names(wanted, slots)
    parted = _choose(wanted, slots)
    fresh = [(slot, _own_copy(slot.read())) for slot in parted]
    for slot, parameter in fresh:
        slot.write(parameter)
    gone = frozenset(wanted)
    for path, root, state in list(find_tied(module)):
        prefix = f"{path}." if path else ""
        _forget(root, state, frozenset(site[len(prefix) :] for site in gone if site.startswith(prefix)))


def _all_slots(module: nn.Module) -> dict[str, Slot]:
    names = (without_wrappers(name) for name, _ in module.named_parameters(remove_duplicate=False))
    return find_slots(module, dict.fromkeys(names))


def _check_names(wanted: Sequence[str], slots: Mapping[str, Slot]) -> None:
    problems: list[str] = []
    chosen = frozenset(wanted)
    for site in wanted:
        if site not in slots:
            near = nearest_name(site, list(slots))
            problems.append(f"{site} is not a site of this module." + (f" Nearest: {near}." if near else ""))
            continue
        twins = [other for other, slot in slots.items() if slot.place == slots[site].place and other not in chosen]
        if twins:
            problems.append(
                f"{site} and {twins[0]} are one module at two paths; a parameter alone cannot be parted. "
                "Give one path a copy of the module (copy.deepcopy)."
            )
    if problems:
        raise ApplyError("\n".join(problems))


def _choose(wanted: Sequence[str], slots: Mapping[str, Slot]) -> list[Slot]:
    """The slots that get a parameter of their own."""
    by_parameter: dict[int, dict[tuple[int, str], Slot]] = {}
    for slot in slots.values():
        by_parameter.setdefault(id(slot.read()), {}).setdefault(slot.place, slot)
    places = {slots[site].place for site in wanted}
    chosen: list[Slot] = []
    for members in by_parameter.values():
        named = [slot for place, slot in members.items() if place in places]
        chosen += named[1:] if len(named) == len(members) else named
    return chosen


def _own_copy(parameter: nn.Parameter) -> nn.Parameter:
    with torch.no_grad():
        return nn.Parameter(parameter.detach().clone(), requires_grad=parameter.requires_grad)


def _forget(root: nn.Module, state: TiedState, gone: frozenset[str]) -> None:
    """Take untied sites out of a root's plan; a root without ties becomes an ordinary module."""
    bound = frozenset(state.plan.sites)
    if not gone & bound:
        return
    plan = _reduce(state.plan, gone)
    if not plan.steps:
        remove_hooks(root)
        return
    remove_resets(root)
    state.plan, state.whole = plan, state.whole or state.plan
    state.pending = frozenset(group.owner for group in plan.graph.groups) & state.pending
    install_resets(plan, root)


def _reduce(plan: Plan, gone: frozenset[str]) -> Plan:
    groups: list[SharingGroup] = []
    freed: list[tuple[str, TensorMeta]] = []
    for group in plan.graph.groups:
        uses = tuple(use for use in group.uses if use.site not in gone)
        freed += [(use.site, group.meta) for use in group.uses if use.site in gone]
        if uses:
            left = tuple(site for site in group.policy.init_sites if site not in gone)
            groups.append(replace(group, uses=uses, policy=replace(group.policy, init_sites=left)))
    graph: SharingGraph = replace(plan.graph, groups=tuple(groups), private=(*plan.graph.private, *freed))
    return Plan(plan.spec, graph, make_steps(groups))
