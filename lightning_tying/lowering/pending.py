"""A tied module that has become real in; values that had to wait for memory are drawn or solved, and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import nn
from typing_extensions import override

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.draw_into import write_value
from lightning_tying.lowering.initial.initial_values import find_initial_values
from lightning_tying.lowering.resolve import Slot, find_slots
from lightning_tying.lowering.scratch import reset_into_scratch
from lightning_tying.lowering.state import TiedState
from lightning_tying.spec.hashing import hash_values


def fill_pending(module: nn.Module, state: TiedState, slots: Mapping[str, Slot]) -> None:
    """Write the values that have been waiting, once.

    Drawn ones are drawn. Solved ones are solved from what each site's module would have given its tensor by its own
    `reset_parameters` (zeros where it has none): that is what the sites of a module that was never on meta hold.

    Args:
        module: the tied root.
        state: what it remembers.
        slots: of all places of its plan.
    """
    if not state.pending:
        return
    left = find_pending(state, slots)
    ready = state.pending - left
    if ready:
        graph = connected_part(state.plan.graph, ready)
        initial = find_initial_values(graph, StockValues(module, _sites(graph)), state.plan.spec.folder)
        for group in graph.groups:
            if group.name in ready and group.name in initial.values:
                write_value(slots[group.keeper].read(), initial.values[group.name])
        state.report = state.report.join(initial.report)
    state.pending = left


def find_pending(state: TiedState, slots: Mapping[str, Slot]) -> frozenset[ParameterName]:
    """The groups that are waiting still: their keepers are on the meta device."""
    if not state.pending:
        return state.pending
    return frozenset(
        group.name
        for group in state.plan.graph.groups
        if group.name in state.pending and slots[group.keeper].read().is_meta
    )


def connected_part(graph: SharingGraph, names: Iterable[ParameterName]) -> SharingGraph:
    """The groups that have to do with these: through derived sites, and the sites that they are solved from."""
    by_name = {group.name: group for group in graph.groups}
    read = {derived.site: derived.expression.parameters for derived in graph.derived}
    found: set[ParameterName] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            group = by_name[name]
            waiting += [other for site in (*group.sites, *group.policy.init_sites) for other in read.get(site, ())]
    groups = tuple(group for group in graph.groups if group.name in found)
    derived = tuple(each for each in graph.derived if found.issuperset(each.expression.parameters))
    return replace(graph, groups=groups, derived=derived, private=(), penalties=())


class StockValues(Mapping[str, nn.Parameter]):
    """What each site would hold in the module before it was tied, initialized by its own module; made when asked for.

    Each module's initializer draws from a seed of its own, so that the same site gives the same numbers each time,
    and the user's random numbers stay as they are.
    """

    def __init__(self, root: nn.Module, sites: Iterable[str]) -> None:
        self._slots = find_slots(root, sites)
        self._last: tuple[nn.Module | None, dict[str, nn.Parameter]] = (None, {})

    @override
    def __getitem__(self, site: str) -> nn.Parameter:
        slot = self._slots[site]
        if self._last[0] is not slot.module:
            self._last = (slot.module, self._reset(slot))
        return self._last[1][slot.name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    @override
    def __len__(self) -> int:
        return len(self._slots)

    def _reset(self, slot: Slot) -> dict[str, nn.Parameter]:
        seed = hash_values(torch.initial_seed(), "reset", slot.site.rpartition(".")[0])
        generator = torch.default_generator  # the CPU's: scratch is there
        state = generator.get_state()
        try:
            generator.manual_seed(seed)
            values = reset_into_scratch(slot.module)
        finally:
            generator.set_state(state)
        return {name: nn.Parameter(value, requires_grad=False) for name, value in values.items()}


def _sites(graph: SharingGraph) -> tuple[str, ...]:
    return tuple(dict.fromkeys(site for group in graph.groups for site in (*group.sites, *group.policy.init_sites)))
