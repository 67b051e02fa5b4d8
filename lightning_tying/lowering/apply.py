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
from lightning_tying.lowering.initial.initial_values import InitialReport, find_initial_values
from lightning_tying.lowering.link import link
from lightning_tying.lowering.plan import Plan, make_steps
from lightning_tying.lowering.resolve import Slot, find_slots
from lightning_tying.lowering.retie import install_hooks, remove_hooks
from lightning_tying.lowering.runtime.parametrize import (
    install_readers,
    parametrize_site,
    remove_readers,
    unparametrize_site,
)
from lightning_tying.lowering.state import TiedState, read_state


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
    slots = _find_all(plan, module)
    check_fit(plan, slots)
    parameters = {site: slot.read() for site, slot in slots.items()}
    initial = find_initial_values(plan.graph, parameters, plan.spec.folder)
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


def _check_steps(plan: Plan) -> None:
    graph = cast("object", plan.graph)  # whoever makes a Plan by hand may have put anything there
    try:
        fits = isinstance(graph, SharingGraph) and plan.steps == make_steps(graph)
    except ConfigError as error:
        raise ApplyError(str(error)) from error
    if not fits:
        raise ApplyError("The plan's steps are not those of its graph. Take a plan that make_plan or tie returned.")


def _find_all(plan: Plan, module: nn.Module) -> Mapping[str, Slot]:
    solved_from = (site for group in plan.graph.groups for site in group.policy.init_sites)
    compared = (penalty.site for penalty in plan.graph.penalties)
    try:
        slots = find_slots(module, dict.fromkeys((*plan.sites, *solved_from, *compared)))
        for slot in slots.values():
            slot.read()
    except TieBroken as error:
        raise ApplyError(f"The plan does not fit this {type(module).__name__}: {error}") from error
    return slots


def _derive(prepared: Prepared, module: nn.Module, undo: ExitStack) -> None:
    if not prepared.values:
        return
    undo.callback(remove_readers, module)  # the last: when no site is left
    for slot, value in prepared.values:
        before = slot.read()
        parametrize_site(slot.module, slot.name, value)
        undo.callback(unparametrize_site, slot.module, slot.name, before)
    install_readers(module)


def _link(plan: Plan, module: nn.Module, slots: Mapping[str, Slot], undo: ExitStack) -> None:
    # The slots of parametrizations hold their parameters already.
    before = {step.site: slots[step.site].peek() for step in plan.links if step.site in slots}
    places = find_slots(module, plan.places) if plan.graph.derived else slots
    for step in link(plan.links, places):
        parameter = before.get(step.site)
        if parameter is not None:
            undo.callback(places[step.site].write, parameter)


def _set_trainable(plan: Plan, prepared: Prepared, undo: ExitStack) -> None:
    for group in plan.graph.groups:
        keeper = prepared.keepers[group.name]
        if keeper.requires_grad != group.meta.trainable:
            undo.callback(keeper.requires_grad_, keeper.requires_grad)
            keeper.requires_grad_(group.meta.trainable)


def _remove_if_there(module: nn.Module) -> None:
    if read_state(module) is not None:
        remove_hooks(module)
