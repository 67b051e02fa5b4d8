"""A module in, the shared parameters whose per-use gradients can be caught out, each with the places that hold it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ConfigError
from lightning_tying.graph.discover import discover_graph
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.resolve import find_slots, own_parameters
from lightning_tying.lowering.state import find_tied


@dataclass(frozen=True, slots=True, eq=False)
class Holder:
    """One place that holds a shared parameter.

    Args:
        place: its FQN in the module that was asked: a site, or a slot of a derived site.
        module: that has it.
        name: of the tensor in that module.
    """

    place: str
    module: nn.Module
    name: str

    def peek(self) -> Tensor | None:
        """What is there now; inside the forward of an FSDP2 unit it is the gathered parameter."""
        found: object = own_parameters(self.module).get(self.name)
        return found if isinstance(found, Tensor) else None


@dataclass(frozen=True, slots=True, eq=False)
class SharedParameter:
    """A shared parameter with all places that hold it.

    Args:
        name: of its sharing group.
        holders: one or more, the keeper's first.
        bound: whether an equation or a tie of the model names it; a parameter that is not may still be read more than
            once, by a module that is called more than once.
    """

    name: ParameterName
    holders: tuple[Holder, ...]
    bound: bool = True

    def parameter(self) -> Tensor | None:
        """The `nn.Parameter` itself."""
        return self.holders[0].peek()


def find_shared(module: nn.Module) -> dict[ParameterName, SharedParameter]:
    """Every parameter of a module by the name of its group, or by its FQN where no group has it.

    Args:
        module: tied, or with tied modules inside; of a module that nobody has tied, the ties that it has by itself.

    Raises:
        TieBroken: a place of a plan leads to no parameter any more.
    """
    found: dict[ParameterName, SharedParameter] = {}
    seen: set[int] = set()
    for path, part, graph in _find_graphs(module):
        for name, places, bound in _list_parameters(graph):
            shared = SharedParameter(_rename(name, path, found), _find_holders(part, path, places), bound)
            parameter = shared.parameter()
            if parameter is not None and id(parameter) not in seen:  # an outer plan has it already, with more places
                seen.add(id(parameter))
                found[shared.name] = shared
    return found


def choose_shared(module: nn.Module, groups: Collection[ParameterName] | None) -> list[SharedParameter]:
    """The shared parameters of these names; without names, all that an equation or a tie names.

    Raises:
        ConfigError: no parameter has one of these names.
    """
    found = find_shared(module)
    if groups is None:
        return [shared for shared in found.values() if shared.bound]
    unknown = [str(name) for name in groups if name not in found]
    if unknown:
        known = ", ".join(str(name) for name, shared in found.items() if shared.bound) or "none"
        raise ConfigError(f"No sharing group is called {', '.join(unknown)}. The groups of this model: {known}.")
    return [found[name] for name in dict.fromkeys(groups)]


def _find_graphs(module: nn.Module) -> Iterator[tuple[str, nn.Module, SharingGraph]]:
    tied = [(path, part, state.plan.graph) for path, part, state in find_tied(module)]
    yield from tied or [("", module, discover_graph(take_inventory(module)))]


def _list_parameters(graph: SharingGraph) -> Iterator[tuple[ParameterName, tuple[str, ...], bool]]:
    for group in graph.groups:
        yield group.name, group.places, True
    for fqn, _ in graph.private:
        yield ParameterName(fqn), (fqn,), False


def _rename(name: ParameterName, path: str, taken: Collection[ParameterName]) -> ParameterName:
    """Two tied modules inside one may use the same word; the second is called by its path, too."""
    return ParameterName(f"{path}.{name.family}", name.index) if name in taken else name


def _find_holders(part: nn.Module, path: str, places: Iterable[str]) -> tuple[Holder, ...]:
    slots = find_slots(part, places)
    prefix = f"{path}." if path else ""
    return tuple(Holder(prefix + place, slot.module, slot.name) for place, slot in slots.items())
