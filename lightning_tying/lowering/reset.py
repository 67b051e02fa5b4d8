"""One initializer for each shared parameter: `reset_parameters` of the modules that read it, changed and restored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from lightning_tying.graph.ir import SharingGroup
from lightning_tying.lowering.draw import draw, is_drawn, needs_std
from lightning_tying.lowering.draw_into import write_value
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import find_slots, own_modules, own_parameters, walk_modules

_METHODS = ("reset_parameters", "_reset_parameters")  # torch's own layers call it either way


@dataclass(frozen=True)
class ResetRule:
    """What a module's reset means for the shared parameters that it reads.

    Args:
        kept: names whose values another site's reset gives; this one leaves them alone.
        drawn: names that are drawn anew by the declared init after the reset.
    """

    kept: tuple[str, ...] = ()
    drawn: tuple[tuple[str, SharingGroup], ...] = ()


def install_resets(plan: Plan, module: nn.Module) -> None:
    """Let exactly one site initialize each shared parameter: the owner's, or the one its init solves from."""
    for part, rule in _find_rules(plan, module):
        for method in _METHODS:
            if callable(getattr(type(part), method, None)):
                original = vars(part).get(method)
                setattr(part, method, partial(reset_shared, part, rule, method, original))


def remove_resets(module: nn.Module) -> None:
    """Give every module its own reset back."""
    for _, part in walk_modules(module):
        for method in _METHODS:
            current = vars(part).get(method)
            if isinstance(current, partial) and current.func is reset_shared:
                delattr(part, method)
                if current.args[3] is not None:
                    setattr(part, method, current.args[3])


def reset_shared(module: nn.Module, rule: ResetRule, method: str, original: Callable[[], object] | None) -> None:
    """A module's reset that leaves shared parameters alone, or is followed by their declared init.

    A module-level function, so that a tied module can be pickled.
    """
    parameters = own_parameters(module)
    kept = {name: parameters[name] for name in rule.kept if parameters.get(name) is not None}
    if _has_more_to_reset(module, kept):
        try:
            for name, parameter in kept.items():
                parameters[name] = _make_scratch(parameter)
            (original or partial(getattr(type(module), method), module))()
        finally:
            parameters.update(kept)
    for name, group in rule.drawn:
        parameter = parameters.get(name)
        if parameter is not None and not parameter.is_meta:
            write_value(parameter, draw(group, parameter))


def draw_fresh(module: nn.Module, name: str, group: SharingGroup) -> Tensor:
    """The drawn value of a parameter whose memory holds nothing yet, as after `to_empty`.

    `normal` alone takes the standard deviation that the module's own reset would give.
    """
    if not needs_std(group.policy.init):
        return draw(group)
    parameters = own_parameters(module)
    before = dict(parameters)
    method = next((getattr(type(module), each) for each in _METHODS if hasattr(type(module), each)), None)
    try:
        for each, parameter in before.items():
            parameters[each] = _make_scratch(parameter)
        if method is not None:
            state = torch.get_rng_state()
            method(module)
            torch.set_rng_state(state)  # the user's random numbers stay as they are
        return draw(group, parameters[name])
    finally:
        parameters.update(before)


def _has_more_to_reset(module: nn.Module, kept: dict[str, nn.Parameter | None]) -> bool:
    others = [name for name, parameter in own_parameters(module).items() if parameter is not None and name not in kept]
    return bool(others or own_modules(module) or any(True for _ in module.buffers(recurse=False)))


def _make_scratch(parameter: nn.Parameter | None) -> nn.Parameter | None:
    if parameter is None:
        return None
    return nn.Parameter(torch.empty_like(parameter), requires_grad=parameter.requires_grad)


@dataclass
class _Draft:
    module: nn.Module
    kept: list[str] = field(default_factory=list[str])
    drawn: list[tuple[str, SharingGroup]] = field(default_factory=list[tuple[str, SharingGroup]])


def _find_rules(plan: Plan, module: nn.Module) -> list[tuple[nn.Module, ResetRule]]:
    drafts: dict[int, _Draft] = {}
    slots = find_slots(module, plan.sites)
    for group in plan.graph.groups:
        drawn = is_drawn(group.policy.init)
        solved_from = next((site for site in group.policy.init_sites if site in group.sites), group.owner)
        source = slots[group.owner if drawn else solved_from]
        places = {slots[site].place: slots[site] for site in group.sites}
        for slot in places.values():
            draft = drafts.setdefault(id(slot.module), _Draft(slot.module))
            if slot.place != source.place:
                draft.kept.append(slot.name)
            elif drawn:
                draft.drawn.append((slot.name, group))
    return [
        (draft.module, ResetRule(tuple(draft.kept), tuple(draft.drawn)))
        for draft in drafts.values()
        if draft.kept or draft.drawn
    ]
