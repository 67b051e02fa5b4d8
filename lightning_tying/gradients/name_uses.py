"""Reads in autograd's graph in, uses with a key out: which site it was, and the how-manyeth time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from torch import nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.autograd_reads import Node, Read
from lightning_tying.gradients.keys import OUTSIDE, UseKey
from lightning_tying.gradients.module_calls import CallLog, ModuleCall, is_beneath
from lightning_tying.gradients.own_reads import order_names, share_out
from lightning_tying.gradients.shared import SharedParameter
from lightning_tying.lowering.runtime.recompute import Origin


@dataclass(slots=True)
class Use:
    """One use with its reads: several where a module reads its own parameter more than once in one forward.

    Args:
        key: its name.
        value: for a derived use the node whose gradient is that of the site, and which of its outputs; None for an
            alias, and where the site's value was not computed but its parts were read.
        reads: of the parameter.
    """

    key: UseKey
    value: tuple[Node, int] | None = None
    reads: list[Read] = field(default_factory=list[Read])


class _Found(NamedTuple):
    """Where a read was made.

    Args:
        place: as in `UseKey`.
        unit: what stands for the one use that it is part of: the forward of the owner, or the read itself.
    """

    place: str
    unit: object


@dataclass(frozen=True, slots=True)
class Namer:
    """Finds out which use a read belongs to.

    Args:
        shared: the shared parameters, by name.
        paths: FQNs of modules, by their id.
        log: the forwards so far.
    """

    shared: Mapping[ParameterName, SharedParameter]
    paths: Mapping[int, str]
    log: CallLog

    def name(self, reads: Sequence[Read], groups: Mapping[int, ParameterName]) -> list[Use]:
        """The uses, in the order of the forward pass.

        Args:
            reads: in that order.
            groups: the name of the group of each tensor, by its id.
        """
        uses: dict[tuple[ParameterName, _Found], Use] = {}
        counts: dict[tuple[ParameterName, str], int] = {}
        for read, found in zip(reads, self._find_places(reads, groups), strict=True):
            group = groups[read.leaf]
            use = uses.get((group, found))
            if use is None:
                counts[group, found.place] = counts.get((group, found.place), 0) + 1
                key = UseKey(group, found.place, counts[group, found.place])
                use = uses[group, found] = Use(key, _value_of(found.unit))
            use.reads.append(read)
        return list(uses.values())

    def _find_places(self, reads: Sequence[Read], groups: Mapping[int, ParameterName]) -> list[_Found]:
        found: list[_Found | None] = []
        own: dict[tuple[ParameterName, ModuleCall], list[int]] = {}  # made by the module itself, under several names
        for number, read in enumerate(reads):
            shared = self.shared[groups[read.leaf]]
            call = self.log.find(read.number)
            if call is not None and len(_own_places(call, shared)) > 1:
                own.setdefault((shared.name, call), []).append(number)
                found.append(None)
            else:
                found.append(self._find_place(read, call, shared))
        for (group, call), numbers in own.items():
            places = _own_places(call, self.shared[group])
            names = share_out(call.module, order_names(call.module, list(places)), len(numbers))
            for number, name in zip(numbers, names, strict=True):
                found[number] = _Found(places[name], call)
        return [each for each in found if each is not None]

    def _find_place(self, read: Read, call: ModuleCall | None, shared: SharedParameter) -> _Found:
        site = self._computing_site(read.node)
        if site is not None:
            slots = (each.place for each in shared.holders if is_beneath(self.paths.get(id(each.module), ""), site))
            return _Found(next(slots, f"{site} {OUTSIDE}"), read.node)
        if call is None:
            return _Found(_only_place(shared, "") or OUTSIDE, read.node)
        own = _own_places(call, shared)
        if own:
            return _Found(next(iter(own.values())), call)
        return _Found(_only_place(shared, call.path) or f"{call.path} {OUTSIDE}".strip(), read.node)

    def _computing_site(self, node: Node) -> str | None:
        """The FQN of what computes a derived value in one node of its own."""
        origin = getattr(node, "origin", None)
        if not isinstance(origin, Origin) or not isinstance(origin.producer, nn.Module):
            return None
        return self.paths.get(id(origin.producer))


def _value_of(unit: object) -> tuple[Node, int] | None:
    if isinstance(unit, ModuleCall):
        return unit.value
    return (cast(Node, unit), 0) if isinstance(getattr(unit, "origin", None), Origin) else None


def _own_places(call: ModuleCall, shared: SharedParameter) -> dict[str, str]:
    """The places of a parameter that are the called module's own, by their names in it."""
    return {holder.name: holder.place for holder in shared.holders if holder.module is call.module}


def _only_place(shared: SharedParameter, above: str) -> str | None:
    """The one tensor inside a module that is this parameter, as `out_proj.weight` is for attention."""
    inside = [holder for holder in shared.holders if is_beneath(holder.place, above)]
    distinct = {(id(holder.module), holder.name) for holder in inside}
    return inside[0].place if len(distinct) == 1 else None
