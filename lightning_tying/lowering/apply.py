"""A plan and a module in, the tied module out: everything is computed and checked before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import nn

from lightning_tying.errors import ApplyError, TieBroken
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.again import tie_again
from lightning_tying.lowering.draw_into import is_sharded, write_value
from lightning_tying.lowering.initial_values import InitialReport, find_initial_values
from lightning_tying.lowering.link import link
from lightning_tying.lowering.plan import Plan, make_steps
from lightning_tying.lowering.resolve import Slot, find_slots
from lightning_tying.lowering.retie import install_hooks
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
    parameters = {site: slot.read() for site, slot in slots.items()}
    _check_parameters(plan, parameters)
    initial = find_initial_values(plan.graph.groups, parameters)
    # From here on the module changes, and nothing is computed that could fail.
    link(plan.steps, slots)
    for group in plan.graph.groups:
        owner = slots[group.owner].read()
        owner.requires_grad_(group.meta.trainable)
        if group.owner in initial.values:
            write_value(owner, initial.values[group.owner])
    install_hooks(module, TiedState(plan, pending=initial.pending, report=initial.report))
    return initial.report


def _check_steps(plan: Plan) -> None:
    graph = cast("object", plan.graph)  # whoever makes a Plan by hand may have put anything there
    if not isinstance(graph, SharingGraph) or plan.steps != make_steps(graph.groups):
        raise ApplyError("The plan's steps are not those of its graph. Take a plan that make_plan or tie returned.")


def _find_all(plan: Plan, module: nn.Module) -> Mapping[str, Slot]:
    wanted = dict.fromkeys((*plan.sites, *(site for group in plan.graph.groups for site in group.policy.init_sites)))
    try:
        slots = find_slots(module, wanted)
        for slot in slots.values():
            slot.read()
    except TieBroken as error:
        raise ApplyError(f"The plan does not fit this {type(module).__name__}: {error}") from error
    return slots


def _check_parameters(plan: Plan, parameters: Mapping[str, nn.Parameter]) -> None:
    problems: list[str] = []
    for group in plan.graph.groups:
        for site in dict.fromkeys((*group.sites, *group.policy.init_sites)):
            parameter = parameters[site]
            if tuple(parameter.shape) != group.meta.shape:
                problems.append(f"{site} is {list(parameter.shape)}, and the plan has {list(group.meta.shape)}.")
            elif str(parameter.dtype) != f"torch.{group.meta.dtype}" and _mixed(group.sites, parameters):
                problems.append(f"{site} is {parameter.dtype}, and other sites of `{group.name}` are not.")
            elif parameter.is_inference():
                problems.append(f"{site} was made in inference_mode and cannot be shared. Build the module outside it.")
            elif is_sharded(parameter):
                problems.append(f"{site} is a DTensor. Tie before fully_shard or parallelize_module.")
    if problems:
        raise ApplyError("\n".join(["The plan does not fit this module:", *problems]))


def _mixed(sites: tuple[str, ...], parameters: Mapping[str, nn.Parameter]) -> bool:
    return len({parameters[site].dtype for site in sites}) > 1
