"""From an inventory to the sharing graph of the ties that a module has already, whoever made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lightning_tying.algebra.expression import Read
from lightning_tying.graph.files.rename import choose_names, rename_parameters
from lightning_tying.graph.inventory import FoundSlot, FoundValue, Inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import (
    DerivedSite,
    GradientRule,
    ParameterName,
    ParameterPolicy,
    SharingGroup,
    Site,
    TensorMeta,
    Use,
)


def discover_graph(inventory: Inventory) -> SharingGraph:
    """Group sites by the parameters that they are, or that their values are computed from.

    Args:
        inventory: what `take_inventory` found in the module.

    Returns:
        One group for each parameter with two FQNs or more, and for each that a derived site reads; all others are
        private. A parameter that is read as it is only is named by its owner's FQN, any other as its site names it.
    """
    if not inventory.values:
        groups, private = group_unbound(inventory.sites)
        return SharingGraph(groups, private, sites=inventory.sites)
    values = {value.fqn: value for value in inventory.values}
    readers = _list_readers(inventory.sites, values)
    names = choose_names(_list_names(inventory.values))
    shared = {number: found for number, found in readers.items() if len(found) > 1 or found[0].slot is not None}
    groups = [_make_derived_group(found, names.get(number)) for number, found in shared.items()]
    order = {site.fqn: place for place, site in enumerate(inventory.sites)}
    alone = (found[0].site for number, found in readers.items() if number not in shared)
    return SharingGraph(
        groups=tuple(sorted(groups, key=lambda group: order[group.owner])),
        private=tuple((site.fqn, site.meta) for site in alone),
        derived=tuple(_make_derived(site, values[site.fqn], names) for site in inventory.sites if site.fqn in values),
        sites=inventory.sites,
    )


def group_unbound(
    sites: Iterable[Site],
) -> tuple[tuple[SharingGroup, ...], tuple[tuple[str, TensorMeta], ...]]:
    """Split sites that no equation binds into the ties that the model has, and private parameters."""
    by_parameter: dict[int, list[Site]] = {}
    for site in sites:
        by_parameter.setdefault(site.parameter, []).append(site)
    groups = tuple(_make_group(members) for members in by_parameter.values() if len(members) > 1)
    private = tuple((members[0].fqn, members[0].meta) for members in by_parameter.values() if len(members) == 1)
    return groups, private


def _make_group(members: list[Site]) -> SharingGroup:
    owner = members[0]
    policy = ParameterPolicy(init_sites=(owner.fqn,))
    return SharingGroup(ParameterName(owner.fqn), tuple(Use(site.fqn) for site in members), owner.meta, policy)


@dataclass(frozen=True, slots=True)
class _Reader:
    """A site that reads a parameter; without a slot it is the parameter."""

    site: Site
    slot: FoundSlot | None = None
    bare: bool = True

    @property
    def use(self) -> Use:
        if self.slot is None:
            return Use(self.site.fqn)
        return Use(self.site.fqn, _read_factor(self.slot.factor), self.slot.name, self.bare)

    @property
    def meta(self) -> TensorMeta:
        return self.site.meta if self.slot is None else self.slot.meta


def _list_readers(sites: Iterable[Site], values: Mapping[str, FoundValue]) -> dict[int, list[_Reader]]:
    """Who reads each parameter, in model order; a site that holds one in two slots reads it once."""
    readers: defaultdict[int, list[_Reader]] = defaultdict(list)
    for site in sites:
        value = values.get(site.fqn)
        if value is None:
            readers[site.parameter].append(_Reader(site))
            continue
        bare = isinstance(value.expression, Read)
        for number, slot in reversed({slot.parameter: slot for slot in reversed(value.slots)}.items()):
            readers[number].append(_Reader(site, slot, bare))
    return readers


def _list_names(values: Iterable[FoundValue]) -> Iterable[tuple[int, ParameterName]]:
    for value in values:
        for slot, name in zip(value.slots, value.expression.parameters, strict=True):
            yield slot.parameter, name


def _make_derived_group(readers: list[_Reader], name: ParameterName | None) -> SharingGroup:
    owner = next((reader for reader in readers if reader.bare), readers[0])
    uses = (owner.use, *(reader.use for reader in readers if reader is not owner))
    policy = ParameterPolicy(init_sites=(owner.site.fqn,))
    return SharingGroup(name or ParameterName(owner.site.fqn), uses, owner.meta, policy)


def _make_derived(site: Site, value: FoundValue, names: Mapping[int, ParameterName]) -> DerivedSite:
    expression = value.expression
    told = {name: names[slot.parameter] for slot, name in zip(value.slots, expression.parameters, strict=True)}
    return DerivedSite(site.fqn, rename_parameters(expression, told), site.meta, value.keep)


def _read_factor(factor: float) -> GradientRule:
    if factor == 1:
        return GradientRule()
    return GradientRule("scale", factor) if factor else GradientRule("stop", 0.0)
