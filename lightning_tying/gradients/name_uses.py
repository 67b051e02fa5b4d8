"""Reads in autograd's graph in, uses with a key out: which site it was, and the how-manyeth time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.autograd_reads import Node, Read
from lightning_tying.gradients.keys import OUTSIDE, UseKey
from lightning_tying.gradients.module_calls import CallLog, ModuleCall, is_beneath
from lightning_tying.gradients.shared import SharedParameter
from lightning_tying.lowering.runtime.recompute import Origin


@dataclass(slots=True)
class Use:
    """One use with its reads: several where a module reads its own parameter more than once in one forward."""

    key: UseKey
    reads: list[Read] = field(default_factory=list[Read])


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

    def name(self, reads: Iterable[Read], groups: Mapping[int, ParameterName]) -> list[Use]:
        """The uses, in the order of the forward pass.

        Args:
            reads: in that order.
            groups: the name of the group of each tensor, by its id.
        """
        uses: dict[tuple[ParameterName, str, object], Use] = {}
        counts: dict[tuple[ParameterName, str], int] = {}
        for read in reads:
            group = groups[read.leaf]
            place, unit = self._place(read, self.shared[group])
            use = uses.get((group, place, unit))
            if use is None:
                counts[group, place] = counts.get((group, place), 0) + 1
                use = uses[group, place, unit] = Use(UseKey(group, place, counts[group, place]))
            use.reads.append(read)
        return list(uses.values())

    def _place(self, read: Read, shared: SharedParameter) -> tuple[str, object]:
        """Where it was read, and what stands for the one use that it is part of: the owner's call, or the read."""
        site = self._computing_site(read.node)
        if site is not None:
            return _first_beneath(site, self.paths, shared) or f"{site} {OUTSIDE}", read.node
        call = self.log.find(read.number)
        if call is None:
            return _only_place(shared, "") or OUTSIDE, read.node
        own = _own_place(call, shared)
        if own is not None:
            return own, call
        return _only_place(shared, call.path) or f"{call.path} {OUTSIDE}".strip(), read.node

    def _computing_site(self, node: Node) -> str | None:
        """The FQN of what computes a derived value in one node of its own."""
        origin = getattr(node, "origin", None)
        if not isinstance(origin, Origin) or not isinstance(origin.producer, nn.Module):
            return None
        return self.paths.get(id(origin.producer))


def _own_place(call: ModuleCall, shared: SharedParameter) -> str | None:
    return next((holder.place for holder in shared.holders if holder.module is call.module), None)


def _only_place(shared: SharedParameter, above: str) -> str | None:
    """The one tensor inside a module that is this parameter, as `out_proj.weight` is for attention."""
    inside = [holder for holder in shared.holders if is_beneath(holder.place, above)]
    distinct = {(id(holder.module), holder.name) for holder in inside}
    return inside[0].place if len(distinct) == 1 else None


def _first_beneath(site: str, paths: Mapping[int, str], shared: SharedParameter) -> str | None:
    """The slot of a derived site."""
    found = (holder.place for holder in shared.holders if is_beneath(paths.get(id(holder.module), ""), site))
    return next(found, None)
