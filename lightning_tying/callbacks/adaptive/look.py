"""A module in training in; its parameters as policies see them out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.callbacks.adaptive.view import GroupView
from lightning_tying.gradients.shared import find_shared
from lightning_tying.graph.discover import discover_graph
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.resolve import find_slots, walk_modules
from lightning_tying.lowering.state import find_tied


@dataclass(frozen=True, eq=False)
class Look:
    """The parameters of a module at one moment.

    Args:
        groups: all of them.
        tensors: the parameters themselves, by name and sites.
    """

    groups: tuple[GroupView, ...]
    tensors: dict[tuple[str, tuple[str, ...]], Tensor]

    def distance(self, one: GroupView, other: GroupView) -> float:
        """‖a − b‖ over the root mean square of ‖a‖ and ‖b‖; NaN where both are 0."""
        first, second = self.tensors[one.identity].detach().double(), self.tensors[other.identity].detach().double()
        size = math.sqrt((float(first.square().sum()) + float(second.square().sum())) / 2)
        return math.sqrt(float((first - second).square().sum())) / size if size > 0 else math.nan

    def find(self, group: GroupView) -> GroupView | None:
        """The same group, if it is still there."""
        return next((each for each in self.groups if each.identity == group.identity), None)


def look_at(module: nn.Module, network: nn.Module) -> Look:
    """List the parameters of the tied modules inside a module, or of a network that is not tied.

    Args:
        module: that is trained.
        network: what the spec's patterns are relative to.
    """
    listed = list(_list_places(_find_graphs(module, network)))
    counts = Counter(name for _, name, *_ in listed)
    keys = _find_keys(module)
    groups: list[GroupView] = []
    tensors: dict[tuple[str, tuple[str, ...]], Tensor] = {}
    for path, name, places, tensor in listed:
        shown = f"{path}.{name}" if path and counts[name] > 1 else name
        key = keys.get(id(tensor))
        if key is None:
            continue
        prefix = f"{path}." if path else ""
        group = GroupView(
            name=shown,
            sites=tuple(dict.fromkeys(places.values())),
            places={f"{prefix}{place}": site for place, site in places.items()},
            key=key,
            shape=tuple(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            trained=tensor.requires_grad,
        )
        groups.append(group)
        tensors[group.identity] = tensor
    return Look(tuple(groups), tensors)


def count_parameters(module: nn.Module) -> int:
    """All parameters of a module, each once."""
    return sum(parameter.numel() for parameter in module.parameters())


def _find_graphs(module: nn.Module, network: nn.Module) -> list[tuple[str, nn.Module, SharingGraph]]:
    tied = [(path, part, state.plan.graph) for path, part, state in find_tied(module)]
    if tied:
        return tied
    path = next(name for name, part in walk_modules(module) if part is network)
    return [(path, network, discover_graph(take_inventory(network)))]


def _list_places(
    graphs: Iterable[tuple[str, nn.Module, SharingGraph]],
) -> Iterator[tuple[str, str, dict[str, str], torch.Tensor]]:
    """For each parameter the path of its tied module, its name there, where it is held for which site, and itself."""
    seen: set[int] = set()
    for path, part, graph in graphs:
        found = [
            (_name(group.name, group.owner), {use.place: use.site for use in group.uses}) for group in graph.groups
        ]
        found += [(fqn, {fqn: fqn}) for fqn, _ in graph.private]
        slots = find_slots(part, [place for _, places in found for place in places])
        for name, places in found:
            tensor = slots[next(iter(places))].peek()
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                yield path, name, places, tensor


def _name(name: ParameterName, owner: str) -> str:
    """What a spec that shares nothing calls `alone` is a parameter like any other."""
    return owner if name == ParameterName("alone") else str(name)


def _find_keys(module: nn.Module) -> dict[int, ParameterName]:
    return {id(each.parameter()): each.name for each in find_shared(module).values()}
