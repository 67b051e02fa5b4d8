"""One initializer for each shared parameter: `reset_parameters` of the modules that read it, changed and restored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import nn

from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.draw_into import write_value
from lightning_tying.lowering.initial.draw import draw, is_drawn
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import Slot, find_slots, own_modules, own_parameters, walk_modules
from lightning_tying.lowering.scratch import RESET_METHODS, hide_derived, make_scratch


@dataclass(frozen=True)
class ResetRule:
    """What a module's reset means for the shared parameters that it, or a module in it, reads.

    Derived sites are hidden from every reset, since their parameters are no module's own: what a spec draws or solves
    for them is found when the module is tied, or becomes real, and at no other time.

    Args:
        kept: names whose values another site's reset gives; this one leaves them alone.
        drawn: names that are drawn anew by the declared init after the reset.
    """

    kept: tuple[str, ...] = ()
    drawn: tuple[tuple[str, SharingGroup], ...] = ()


def install_resets(plan: Plan, module: nn.Module) -> None:
    """Let exactly one site initialize each shared parameter: the owner's, or the one its init solves from."""
    for part, rule in _find_rules(plan, module):
        for method in _find_methods(part):
            original = vars(part).get(method)
            vars(part)[method] = partial(reset_shared, part, rule, method, original)


def remove_resets(module: nn.Module) -> None:
    """Give every module its own reset back."""
    for _, part in walk_modules(module):
        for method in RESET_METHODS:
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
    kept = {name: parameter for name in rule.kept if (parameter := parameters.get(name)) is not None}
    if _has_more_to_reset(module, kept):
        with hide_derived(module):
            try:
                parameters.update({name: make_scratch(parameter) for name, parameter in kept.items()})
                (original or partial(getattr(type(module), method), module))()
            finally:
                parameters.update(kept)
    for name, group in rule.drawn:
        parameter = parameters.get(name)
        if parameter is not None and not parameter.is_meta:
            write_value(parameter, draw(group, parameter))


def find_decided(module: nn.Module) -> frozenset[str] | None:
    """The parameters of its own that a module's reset gives values to; None where it has no reset."""
    method = _find_reset(module)
    if method is None:
        return None
    kept: tuple[str, ...] = ()
    if isinstance(method, partial) and method.func is reset_shared:
        kept = method.args[1].kept
    return frozenset(own_parameters(module)).difference(kept)


def reset_module(module: nn.Module) -> None:
    """Call a module's own initializer, as it is on the instance: shared parameters follow their rule."""
    method = _find_reset(module)
    if method is not None:
        method()


def _find_reset(module: nn.Module) -> Any:
    return next((found for name in RESET_METHODS if callable(found := getattr(module, name, None))), None)


def _find_methods(part: nn.Module) -> list[str]:
    return [method for method in RESET_METHODS if callable(getattr(type(part), method, None))]


def _has_more_to_reset(module: nn.Module, kept: dict[str, nn.Parameter]) -> bool:
    others = [name for name, parameter in own_parameters(module).items() if parameter is not None and name not in kept]
    return bool(others or own_modules(module) or any(True for _ in module.buffers(recurse=False)))


@dataclass
class _Draft:
    module: nn.Module
    kept: list[str] = field(default_factory=list[str])
    drawn: list[tuple[str, SharingGroup]] = field(default_factory=list[tuple[str, SharingGroup]])


def _find_rules(plan: Plan, module: nn.Module) -> list[tuple[nn.Module, ResetRule]]:
    drafts = {id(part): _Draft(part) for part in _find_readers(plan.graph, module)}
    aliases = [use.site for _, use in plan.graph.uses() if not use.slot]
    slots = find_slots(module, dict.fromkeys(aliases))
    for group in plan.graph.groups:
        _add_group(group, slots, drafts)
    return [(draft.module, ResetRule(tuple(draft.kept), tuple(draft.drawn))) for draft in drafts.values()]


def _add_group(group: SharingGroup, slots: Mapping[str, Slot], drafts: dict[int, _Draft]) -> None:
    """Choose the one alias whose module's reset gives the parameter its value; all others keep what is there."""
    drawn = is_drawn(group.policy.init)
    aliases = [use.site for use in group.uses if not use.slot]
    if not aliases:
        return
    solved_from = next((site for site in group.policy.init_sites if site in aliases), aliases[0])
    source = slots[aliases[0] if drawn else solved_from]
    for slot in {slots[site].place: slots[site] for site in aliases}.values():
        if slot.place != source.place:
            drafts.setdefault(id(slot.module), _Draft(slot.module)).kept.append(slot.name)
        elif drawn:
            drafts.setdefault(id(slot.module), _Draft(slot.module)).drawn.append((slot.name, group))


def _find_readers(graph: SharingGraph, module: nn.Module) -> list[nn.Module]:
    """Every module with a reset that has a derived site, or a module with one in it (its reset may reach down)."""
    paths = _paths_above(graph)
    return [part for _, part in walk_modules(module, within=paths) if _find_methods(part)] if paths else []


def _paths_above(graph: SharingGraph) -> set[str]:
    paths: set[str] = set()
    for derived in graph.derived:
        path = derived.site.rpartition(".")[0]
        while path not in paths:
            paths.add(path)
            path = path.rpartition(".")[0]
    return paths
