"""A tied module and a plan in; its ties restored by that plan, or a refusal that says in what the plans differ."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from torch import nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.causes import EXPLAIN_SHARDED
from lightning_tying.lowering.derive import find_places, refresh_factors
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.initial.draw import is_drawn
from lightning_tying.lowering.link import link
from lightning_tying.lowering.plan import Alias, Plan
from lightning_tying.lowering.preconditions import UNTIE_FIRST
from lightning_tying.lowering.reset import install_resets, remove_resets
from lightning_tying.lowering.resolve import Slot
from lightning_tying.lowering.retie import retie
from lightning_tying.lowering.state import TiedState


def tie_again(plan: Plan, module: nn.Module, state: TiedState) -> None:
    """Restore the ties of a tied module by the plan that it is tied by, whatever order its equations came in.

    Aliases that have been untied since take part again when `plan` is the one from before; what is left of their
    group gives the values. A derived site does not: its parameters would have to be solved again.

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
        _check_alike(state.plan.graph, find_places(state.plan, module))
        retie(module)
    elif state.whole is not None and meant == _meaning(state.whole.graph):
        _take_back(state.whole, module, state)
    else:
        raise _refuse_other(plan, module, state)


def check_same(plan: Plan, module: nn.Module, state: TiedState) -> None:
    """Refuse a plan that means something else than what a module is tied by, or was before `untie(module, sites)`.

    Raises:
        ApplyError: it does.
    """
    if _meaning(plan.graph) not in [_meaning(known.graph) for known in (state.plan, state.whole) if known is not None]:
        raise _refuse_other(plan, module, state)


def _refuse_other(plan: Plan, module: nn.Module, state: TiedState) -> ApplyError:
    return ApplyError(
        f"This {type(module).__name__} is already tied by another spec. "
        f"{_explain(state.whole or state.plan, plan)} {UNTIE_FIRST}"
    )


def _meaning(graph: SharingGraph) -> Mapping[Hashable, Hashable]:
    """What two plans for one module may differ in; device, dtype and shapes are the module's."""
    return {
        **{group.name: (group.uses, group.policy) for group in graph.groups},
        **{derived.site: (derived.expression, derived.keep) for derived in graph.derived},
        "penalties": frozenset(graph.penalties),
    }


def _take_back(whole: Plan, module: nn.Module, state: TiedState) -> None:
    _refuse_derived(whole, state.plan)
    slots = find_places(whole, module)
    left = {group.name: group.keeper for group in state.plan.graph.groups}
    keepers = {group.name: left.get(group.name, group.keeper) for group in whole.graph.groups}
    _check_alike(whole.graph, slots)
    link(_find_links(whole.graph.groups, keepers), slots)
    remove_resets(module)
    refresh_factors(whole.graph, module)
    state.plan, state.whole, state.penalties = whole, None, None
    state.pending |= frozenset(
        group.name for group in whole.graph.groups if is_drawn(group.policy.init) and slots[group.keeper].read().is_meta
    )
    install_resets(whole, module)


def _refuse_derived(whole: Plan, left: Plan) -> None:
    still = frozenset(derived.site for derived in left.graph.derived)
    gone = [derived.site for derived in whole.graph.derived if derived.site not in still]
    if gone:
        raise ApplyError(
            f"{_some(tuple(gone))}: untied since, with a value of its own that nothing solves again. Untie the whole "
            "module, untie(module), then tie(module, spec), which finds initial values from what all its sites hold."
        )


def _find_links(groups: Iterable[SharingGroup], keepers: Mapping[ParameterName, str]) -> list[Alias]:
    return [
        Alias(place, keepers[group.name]) for group in groups for place in group.places if place != keepers[group.name]
    ]


def _check_alike(graph: SharingGraph, slots: Mapping[str, Slot]) -> None:
    problems = [problem for group in graph.groups for problem in _compare(group, slots)]
    if problems:
        raise ApplyError("\n".join(["Sites cannot be tied again as they are now:", *problems]))


def _compare(group: SharingGroup, slots: Mapping[str, Slot]) -> list[str]:
    owner = slots[group.keeper].read()
    problems: list[str] = []
    for site in group.places[1:]:
        parameter = slots[site].read()
        if parameter is owner:
            continue
        pair = f"`{group.name}`: {group.keeper} is {list(owner.shape)} and {site} {list(parameter.shape)}"
        if parameter.shape != owner.shape:
            problems.append(f"{pair}. Give them one shape, or untie them.")
        elif is_sharded(parameter) != is_sharded(owner):
            problems.append(f"`{group.name}`: {EXPLAIN_SHARDED.format(site, group.keeper)}")
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
    missing = next((name for name in one if name not in two), None)
    if missing is not None:
        return f"Its spec also has the shared parameter `{missing}`."
    site = _find_other_value(mine.graph, other.graph)
    return f"Its {site} is computed in another way." if site else "Its penalties are others."


def _find_other_value(mine: SharingGraph, other: SharingGraph) -> str | None:
    one, two = ({each.site: (each.expression, each.keep) for each in graph.derived} for graph in (mine, other))
    return next((site for site in {**one, **two} if one.get(site) != two.get(site)), None)


def _some(sites: tuple[str, ...], most: int = 4) -> str:
    more = f" and {len(sites) - most} more" if len(sites) > most else ""
    return ", ".join(sites[:most]) + more
