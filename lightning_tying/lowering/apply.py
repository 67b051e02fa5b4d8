"""A plan and a module in, the tied module out: everything is computed and checked before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import cast

from torch import nn

from lightning_tying.errors import ApplyError, ConfigError, TieBroken
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.again import tie_again
from lightning_tying.lowering.check_fit import check_fit
from lightning_tying.lowering.derive import Prepared, prepare
from lightning_tying.lowering.draw_into import write_value
from lightning_tying.lowering.initial.initial_values import (
    InitialReport,
    InitialValues,
    find_initial_values,
)
from lightning_tying.lowering.link import link
from lightning_tying.lowering.plan import Alias, Plan, make_steps
from lightning_tying.lowering.resolve import Slot, find_slots
from lightning_tying.lowering.retie import install_hooks, remove_hooks
from lightning_tying.lowering.runtime.parametrize import (
    install_readers,
    parametrize_site,
    remove_readers,
    unparametrize_site,
)
from lightning_tying.lowering.state import TiedState, read_state


def preview_plan(plan: Plan, module: nn.Module) -> InitialReport:
    """What `apply_plan` would return for a module that is not tied, without touching it.

    Raises:
        ApplyError: the module does not fit the plan.
    """
    _check_steps(plan)
    return _find_values(plan, module)[1].report


def apply_plan(plan: Plan, module: nn.Module) -> InitialReport:
    """Tie `module` in place; applying the plan that it is tied by restores its ties and keeps its values.

    Args:
        plan: made for this module, or for one with the same names and shapes.
        module: on any device; on meta, values are set when it becomes real.

    Returns:
        How far the initial values are from what the sites held.

    Raises:
        ApplyError: the module does not fit the plan, or is tied by another one; nothing has changed.
    """
    _check_steps(plan)
    state = read_state(module)
    if state is not None:
        tie_again(plan, module, state)
        return state.report
    slots, initial = _find_values(plan, module)
    prepared = prepare(plan.graph, slots, initial.values)
    with ExitStack() as undo:  # from here on the module changes; whatever fails is taken back
        _derive(prepared, module, undo)
        _link(plan, module, slots, undo)
        _set_trainable(plan, prepared, undo)
        state = TiedState(plan, pending=initial.pending, report=initial.report)
        undo.callback(_remove_if_there, module)
        install_hooks(module, state)
        undo.pop_all()
    for group in plan.graph.groups:  # a new keeper has its value already
        if group.name in initial.values and not group.uses[0].slot:
            write_value(prepared.keepers[group.name], initial.values[group.name])
    return initial.report


def _find_values(plan: Plan, module: nn.Module) -> tuple[Mapping[str, Slot], InitialValues]:
    slots, parameters = _find_all(plan, module)
    check_fit(plan, slots, parameters)
    return slots, find_initial_values(plan.graph, parameters, plan.spec.folder)


def _check_steps(plan: Plan) -> None:
    graph = cast("object", plan.graph)  # whoever makes a Plan by hand may have put anything there
    try:
        fits = isinstance(graph, SharingGraph) and plan.steps == make_steps(graph)
    except ConfigError as error:
        raise ApplyError(str(error)) from error
    if not fits:
        raise ApplyError("The plan's steps are not those of its graph. Take a plan that make_plan or tie returned.")


def _find_all(plan: Plan, module: nn.Module) -> tuple[dict[str, Slot], dict[str, nn.Parameter]]:
    """The place of every site that is read or solved from, and what it holds."""
    solved_from = (site for group in plan.graph.groups for site in group.policy.init_sites)
    compared = (penalty.site for penalty in plan.graph.penalties)
    try:
        slots = find_slots(module, dict.fromkeys((*plan.sites, *solved_from, *compared)))
        return slots, {site: slot.read() for site, slot in slots.items()}
    except TieBroken as error:
        raise ApplyError(f"The plan does not fit this {type(module).__name__}: {error}") from error


def _derive(prepared: Prepared, module: nn.Module, undo: ExitStack) -> None:
    if not prepared.values:
        return
    undo.callback(remove_readers, module)  # the last: when no site is left
    changed: list[tuple[Slot, nn.Parameter]] = []
    undo.callback(_take_back, changed)
    for slot, value in prepared.values:
        before = slot.read()
        parametrize_site(slot.module, slot.name, value)
        changed.append((slot, before))
    install_readers(module)


def _take_back(changed: list[tuple[Slot, nn.Parameter]]) -> None:
    for slot, before in reversed(changed):
        unparametrize_site(slot.module, slot.name, before)


def _link(plan: Plan, module: nn.Module, slots: Mapping[str, Slot], undo: ExitStack) -> None:
    # The slots of parametrizations hold their parameters already.
    aliases = [step for step in plan.steps if isinstance(step, Alias)]
    places = _find_ends(aliases, module, slots) if plan.graph.derived else slots
    before = {step.site: places[step.site].read() for step in aliases}
    for step in link(aliases, places):
        undo.callback(places[step.site].write, before[step.site])


def _find_ends(aliases: list[Alias], module: nn.Module, slots: Mapping[str, Slot]) -> dict[str, Slot]:
    """The two ends of each alias; a keeper may be a slot that has just been made."""
    ends = dict.fromkeys([end for step in aliases for end in (step.site, step.owner)])
    made = find_slots(module, [end for end in ends if end not in slots])
    return {end: slots.get(end) or made[end] for end in ends}


def _set_trainable(plan: Plan, prepared: Prepared, undo: ExitStack) -> None:
    for group in plan.graph.groups:
        keeper = prepared.keepers[group.name]
        if keeper.requires_grad != group.meta.trainable:
            undo.callback(keeper.requires_grad_, keeper.requires_grad)
            keeper.requires_grad_(group.meta.trainable)


def _remove_if_there(module: nn.Module) -> None:
    if read_state(module) is not None:
        remove_hooks(module)
