"""Optimizers and an edit in; the parameter groups and states that follow it out, made first and put in place later."""

# pyright: reportUnknownMemberType=false
# torch's optimizers are typed in part only.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_tying.checkpoints.moments import join_states
from lightning_tying.errors import ApplyError
from lightning_tying.lowering.edits.rewire import Carried, PreparedEdit

_FLAT = ("LBFGS",)  # their state belongs to all parameters as one vector


@dataclass(frozen=True, eq=False)
class MovedStates:
    """What an edit changes in the optimizers.

    Args:
        added: parameters that a parameter group gets: the optimizer, the group's number, the parameter.
        states: the state of a parameter from then on.
        gone: parameters that are taken out, with their states.
    """

    added: tuple[tuple[Optimizer, int, nn.Parameter], ...]
    states: tuple[tuple[Optimizer, nn.Parameter, dict[str, Any]], ...]
    gone: tuple[nn.Parameter, ...]


def plan_states(optimizers: Sequence[Optimizer], edit: PreparedEdit) -> MovedStates:
    """Find where parameters belong, and make their states; the optimizers stay as they are.

    A new parameter of a split belongs to the group of the one that it comes from and has a copy of its state. The
    state of a join follows the rule of its value: a mean where that is a mean (maxima are maxima, and `step` is the
    largest), else the state of the one whose value it has. No parameter group is made or removed, since schedules
    count them.

    Args:
        optimizers: of the trainer.
        edit: prepared, not carried out.

    Raises:
        ApplyError: parameters of a join are in different parameter groups, or an optimizer has one state for all.
    """
    added: list[tuple[Optimizer, int, nn.Parameter]] = []
    states: list[tuple[Optimizer, nn.Parameter, dict[str, Any]]] = []
    for each in edit.carried:
        place = _find_place(optimizers, each, edit.gone)
        if place is None:
            continue
        optimizer, number = place
        _refuse_flat(optimizer)
        if not _holds(optimizer.param_groups[number]["params"], each.parameter):
            added.append((optimizer, number, each.parameter))
        found = [(optimizer.state[one], weight) for one, weight in each.sources if one in optimizer.state]
        stays = len(each.sources) == 1 and each.sources[0][0] is each.parameter
        if not stays and (found or each.parameter in optimizer.state):
            states.append((optimizer, each.parameter, _make_state(found)))
    return MovedStates(tuple(added), tuple(states), edit.gone)


def move_states(moved: MovedStates, optimizers: Sequence[Optimizer], module: nn.Module) -> None:
    """Put parameters and states in place; groups that were in the model's order stay so, as a new optimizer's are.

    Args:
        moved: of `plan_states`.
        optimizers: the same.
        module: edited by now.
    """
    order = {id(parameter): place for place, parameter in enumerate(module.parameters())}
    gone = {id(parameter) for parameter in moved.gone}
    for optimizer, parameter, state in moved.states:
        optimizer.state[parameter] = state
    for optimizer in optimizers:
        for number, group in enumerate(optimizer.param_groups):
            held: list[nn.Parameter] = group["params"]
            new = [one for owner, place, one in moved.added if owner is optimizer and place == number]
            if new or any(id(one) in gone for one in held):
                left = [one for one in held if id(one) not in gone]
                group["params"] = _put_in_order(left, new, order)
        for parameter in moved.gone:
            optimizer.state.pop(parameter, None)


def _put_in_order(held: list[nn.Parameter], new: list[nn.Parameter], order: Mapping[int, int]) -> list[nn.Parameter]:
    places = [order.get(id(one), -1) for one in held]
    if places != sorted(places) or -1 in places:
        return [*held, *new]
    return sorted([*held, *new], key=lambda one: order[id(one)])


def _find_place(
    optimizers: Sequence[Optimizer], carried: Carried, gone: Sequence[nn.Parameter]
) -> tuple[Optimizer, int] | None:
    """The one parameter group that holds everything that goes into a parameter; None where none does."""
    wanted = [one for one, _ in carried.sources]
    wanted += [one for one in (carried.parameter, *gone) if all(one is not other for other in wanted)]
    places = {
        (number, place)
        for number, optimizer in enumerate(optimizers)
        for place, group in enumerate(optimizer.param_groups)
        if any(_holds(group["params"], one) for one in wanted)
    }
    if len(places) > 1:
        raise ApplyError(
            "What is to be joined is in different parameter groups of the optimizer, with a learning rate and a weight "
            "decay of their own. Join what one group holds, or put them into one in `configure_optimizers`."
        )
    return next(((optimizers[number], place) for number, place in places), None)


def _holds(parameters: Iterable[Tensor], wanted: Tensor) -> bool:
    return any(one is wanted for one in parameters)  # `in` would compare values


def _refuse_flat(optimizer: Optimizer) -> None:
    names = [kind.__name__ for kind in type(optimizer).__mro__]
    if any(name in names for name in _FLAT):
        raise ApplyError(
            f"{type(optimizer).__name__} keeps one state for all parameters together, which no edit can carry along. "
            "Edit before training, or use an optimizer with a state for each parameter."
        )


def _make_state(found: Sequence[tuple[Mapping[str, Any], float]]) -> dict[str, Any]:
    if not found:
        return {}  # as before the first step
    if len(found) == 1:
        return deepcopy(dict(found[0][0]))
    return join_states([state for state, _ in found], [weight for _, weight in found])
