"""A tied module and its plan after an edit in; what is written where first, then the module that follows it, out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.derive import find_factors, find_places, find_values
from lightning_tying.lowering.edits.edited_graph import ALONE
from lightning_tying.lowering.edits.edited_plan import EditedPlan
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.reset import install_resets, remove_resets
from lightning_tying.lowering.resolve import Slot, find_slots
from lightning_tying.lowering.runtime.recurrent import rebuild_flat_weights
from lightning_tying.lowering.runtime.site_value import SiteValue
from lightning_tying.lowering.state import TiedState

HOW_IN_TRAINING = "In training: split_in_training and join_in_training of lightning_tying.tasks.edits."


@dataclass(frozen=True, eq=False)
class Carried:
    """A parameter that an edit made or changed, with what its value, and its optimizer's state, come from.

    Args:
        parameter: in use once the edit is carried out.
        sources: parameters before the edit, each with its weight; the weights add up to 1. The parameter itself may
            be among them.
    """

    parameter: nn.Parameter
    sources: tuple[tuple[nn.Parameter, float], ...]


@dataclass(frozen=True, eq=False)
class PreparedEdit:
    """An edit that is checked and not carried out yet: the module is as it was.

    Args:
        kind: what it is.
        root: the tied module.
        state: what it remembers.
        plan: what it is tied by afterwards.
        before: names and sites of the groups that are edited.
        after: those of the groups in their place.
        carried: by the new parameters' names in the plan.
        values: what is written into parameters that stay, by name.
        gone: parameters that nothing reads afterwards.
        writes: where parameters are put.
        computed: derived sites with what computes them from then on.
    """

    kind: Literal["split", "join"]
    root: nn.Module
    state: TiedState
    plan: Plan
    before: tuple[tuple[str, tuple[str, ...]], ...]
    after: tuple[tuple[str, tuple[str, ...]], ...]
    carried: tuple[Carried, ...]
    values: tuple[tuple[nn.Parameter, Tensor], ...]
    gone: tuple[nn.Parameter, ...]
    writes: tuple[tuple[Slot, nn.Parameter], ...]
    computed: tuple[tuple[Slot, SiteValue, SiteValue], ...]


def find_writes(
    root: nn.Module, state: TiedState, edited: EditedPlan, made: Mapping[ParameterName, nn.Parameter]
) -> tuple[tuple[tuple[Slot, nn.Parameter], ...], tuple[tuple[Slot, SiteValue, SiteValue], ...]]:
    """What a module has to be given to follow an edited plan; nothing is changed.

    Args:
        root: tied as `state` says.
        state: what it remembers.
        edited: the plan after the edit.
        made: by name in that plan, the parameters of edited groups and of sites that are free.

    Returns:
        Sites with the parameter that each gets, and derived sites with what computes them now and then.
    """
    old = state.plan
    find_places(old, root)  # refuses a module that is not tied as it should be
    renamed = {new: name for name, new in edited.names.items()}
    before = {group.name: group for group in old.graph.groups}
    keepers = {
        group.name: before[renamed[group.name]].keeper if group.name in renamed else group.owner  # that shares nothing
        for group in edited.plan.graph.groups
        if group.name not in made
    }
    places = find_slots(root, keepers.values())
    held = {**made, **{name: places[keeper].read() for name, keeper in keepers.items()}}
    groups = {group.name for group in edited.plan.graph.groups}
    targets = {use.site: held[group.name] for group, use in edited.plan.graph.uses() if not use.slot}
    targets |= {name.family: parameter for name, parameter in made.items() if name not in groups}
    writes = [(slot, targets[fqn]) for fqn, slot in find_slots(root, targets).items()]
    wanted = tuple((slot, parameter) for slot, parameter in writes if slot.read() is not parameter)
    _check_two_paths(writes)
    return wanted, _make_values(root, old.graph, edited.plan.graph, held)


def carry_out(edit: PreparedEdit) -> None:
    """Change the module; what could fail has been done before.

    Args:
        edit: of `prepare_split` or `prepare_join`; the module must be as it was then.
    """
    remove_resets(edit.root)
    with torch.no_grad():
        for target, value in edit.values:
            target.copy_(value)
    for slot, parameter in edit.writes:
        slot.write(parameter)
    for slot, value, fresh in edit.computed:
        value.become(fresh)
        rebuild_flat_weights(slot.module)
    for each in edit.carried:
        each.parameter.grad = None
    state = edit.state
    state.plan, state.whole, state.penalties = edit.plan, None, None
    install_resets(edit.plan, edit.root)


def name_groups(graph: SharingGraph, names: frozenset[ParameterName]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The groups of a graph with these names, with their sites; a free parameter is its own site."""
    found = [
        (group.owner if group.name == ALONE else str(group.name), group.sites)
        for group in graph.groups
        if group.name in names
    ]
    known = {group.name for group in graph.groups}
    return (*found, *((str(name), (name.family,)) for name in sorted(names - known)))


def _make_values(
    root: nn.Module, old: SharingGraph, new: SharingGraph, held: Mapping[ParameterName, nn.Parameter]
) -> tuple[tuple[Slot, SiteValue, SiteValue], ...]:
    factors = find_factors(new) if new.derived else {}
    derived = {each.site: each for each in new.derived}
    done: set[tuple[int, str]] = set()
    found: list[tuple[Slot, SiteValue, SiteValue]] = []
    for each, slot, value in find_values(old, root):
        if value is None or slot.place in done:
            continue
        done.add(slot.place)
        target = derived[each.site]
        parameters = [held[name] for name in target.expression.parameters]
        same = all(one is other for one, other in zip(value.parameters_read(), parameters, strict=True))
        if same and value.expression == target.expression and value.factors == factors[each.site]:
            continue
        fresh = SiteValue(target.expression, factors[each.site], parameters, value.dtype, keep=target.keep)
        found.append((slot, value, fresh))
    return tuple(found)


def _check_two_paths(writes: list[tuple[Slot, nn.Parameter]]) -> None:
    """One module at two paths has one parameter, whatever the plan says."""
    first: dict[tuple[int, str], tuple[Slot, nn.Parameter]] = {}
    for slot, parameter in writes:
        other, held = first.setdefault(slot.place, (slot, parameter))
        if held is not parameter:
            raise ApplyError(
                f"{other.site} and {slot.site} are one module at two paths; a parameter alone cannot be parted. Put "
                "them into one part, or give one path a copy of the module (copy.deepcopy)."
            )
