"""A module in; every site, or the named ones, holds a parameter of its own afterwards, values kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from lightning_tying.algebra.expression import Expression, ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph, SharingGroup, TensorMeta, Use
from lightning_tying.lowering.derive import refresh_factors
from lightning_tying.lowering.members import Member, find_members
from lightning_tying.lowering.plan import Plan, make_steps
from lightning_tying.lowering.preconditions import check_sites
from lightning_tying.lowering.reset import install_resets, remove_resets
from lightning_tying.lowering.retie import remove_hooks
from lightning_tying.lowering.runtime.parametrize import remove_readers, unparametrize_site
from lightning_tying.lowering.runtime.site_value import SiteValue
from lightning_tying.lowering.state import TiedState, find_tied
from lightning_tying.spec.nearest import nearest_name


def untie_module(module: nn.Module, sites: Iterable[str] | None = None) -> None:
    """Part what is one parameter now; ties that the module had before any spec are parted as well.

    A derived site gets a parameter with the value that is computed for it now; where nothing derived is left in a
    module, that has its stock class again.

    Args:
        module: a tied root, a module with tied ones inside, or any module with ties made by hand.
        sites: FQNs in `module`; all sites if None. The sites of a group that are not named keep its
            parameter; if all are named, the first keeps it.

    Raises:
        ApplyError: a name is not a site, or is one of two names of one module; nothing has changed.
    """
    members = find_members(module)
    named = check_sites(sites)
    wanted = list(members) if named is None else list(dict.fromkeys(named))
    if named is not None:
        _check_names(wanted, members)
    fresh = [(member, _make_own(member)) for member in _choose(wanted, members)]
    for member, parameter in fresh:
        if member.value is None:
            member.slot.write(parameter)
        else:
            unparametrize_site(member.slot.module, member.slot.name, parameter)
    gone = frozenset(wanted)
    for path, root, state in list(find_tied(module)):
        prefix = f"{path}." if path else ""
        _forget(root, state, frozenset(site[len(prefix) :] for site in gone if site.startswith(prefix)))
    if any(member.value is not None for member, _ in fresh):
        remove_readers(module)


def _check_names(wanted: Sequence[str], members: Mapping[str, Member]) -> None:
    problems: list[str] = []
    chosen = frozenset(wanted)
    by_place: dict[tuple[int, str], list[str]] = {}
    for fqn, member in members.items():
        by_place.setdefault(member.slot.place, []).append(fqn)
    for site in wanted:
        if site not in members:
            near = nearest_name(site, list(members))
            problems.append(f"{site} is not a site of this module." + (f" Nearest: {near}." if near else ""))
            continue
        twins = [other for other in by_place[members[site].slot.place] if other not in chosen]
        if twins:
            problems.append(
                f"{site} and {twins[0]} are one module at two paths; a parameter alone cannot be parted. "
                "Give one path a copy of the module (copy.deepcopy)."
            )
    if problems:
        raise ApplyError("\n".join(problems))


def _choose(wanted: Sequence[str], members: Mapping[str, Member]) -> list[Member]:
    """The members that get a parameter of their own: derived ones, and all but one of those that part."""
    chosen = {members[site].slot.place: members[site] for site in wanted}
    readers: dict[int, dict[tuple[int, str], Member]] = {}
    for member in members.values():
        for parameter in member.parameters:
            readers.setdefault(id(parameter), {}).setdefault(member.slot.place, member)
    keeping: set[tuple[int, str]] = set()
    for places in readers.values():
        plain = [place for place, member in places.items() if member.value is None]
        if plain and all(place in chosen for place in places):
            keeping.add(plain[0])
    return [member for place, member in chosen.items() if member.value is not None or place not in keeping]


def _make_own(member: Member) -> nn.Parameter:
    trainable = any(parameter.requires_grad for parameter in member.parameters)
    with torch.no_grad():
        tensor = member.parameters[0].detach() if member.value is None else read_value(member.value)
        own = tensor.clone(memory_format=torch.contiguous_format)  # a transposed value has the strides of another shape
        return nn.Parameter(own, requires_grad=trainable)


def read_value(value: SiteValue) -> torch.Tensor:
    """What a derived site is now, without what is only drawn in training (dropout)."""
    training = value.training
    value.eval()
    try:
        return value.forward().detach()
    finally:
        value.train(training)


def _forget(root: nn.Module, state: TiedState, gone: frozenset[str]) -> None:
    """Take untied sites out of a root's plan; a root without ties becomes an ordinary module."""
    bound = frozenset(state.plan.sites)
    if not gone & bound:
        return
    plan = _reduce(state.plan, gone)
    if not plan.steps and not plan.graph.penalties:
        remove_hooks(root)
        return
    remove_resets(root)
    state.plan, state.whole, state.penalties = plan, state.whole or state.plan, None
    state.pending = frozenset(group.name for group in plan.graph.groups) & state.pending
    refresh_factors(plan.graph, root)
    install_resets(plan, root)


def _reduce(plan: Plan, gone: frozenset[str]) -> Plan:
    groups = [_shrink(group, gone) for group in plan.graph.groups if any(use.site not in gone for use in group.uses)]
    derived = tuple(each for each in plan.graph.derived if each.site not in gone)
    held = frozenset(group.name for group in groups)
    graph: SharingGraph = replace(
        plan.graph,
        groups=tuple(groups),
        derived=derived,
        penalties=tuple(each for each in plan.graph.penalties if _is_held(each.expression, held)),
        private=(*plan.graph.private, *_find_freed(plan.graph, gone).items()),
    )
    return Plan(plan.spec, graph, make_steps(graph))


def _shrink(group: SharingGroup, gone: frozenset[str]) -> SharingGroup:
    left = [use for use in group.uses if use.site not in gone]
    owner = left[0] if left[0] is group.uses[0] else _choose_owner(left)
    sites = tuple(site for site in group.policy.init_sites if site not in gone)
    uses = (owner, *(use for use in left if use is not owner))
    return replace(group, uses=uses, policy=replace(group.policy, init_sites=sites))


def _choose_owner(uses: Sequence[Use]) -> Use:
    return next((use for use in uses if use.bare), uses[0])


def _is_held(expression: Expression, held: frozenset[ParameterName]) -> bool:
    """A penalty whose parameters no bound site reads any more cannot be computed, and goes with them."""
    return held.issuperset(expression.parameters)


def _find_freed(graph: SharingGraph, gone: frozenset[str]) -> dict[str, TensorMeta]:
    metas = {derived.site: derived.meta for derived in graph.derived}
    return {use.site: metas.get(use.site, group.meta) for group, use in graph.uses() if use.site in gone}
