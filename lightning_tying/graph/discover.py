"""From an inventory to the graph of the ties that the module has already."""

from __future__ import annotations

from collections.abc import Iterable

from lightning_tying.graph.inventory import Inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import ParameterName, ParameterPolicy, SharingGroup, Site, TensorMeta, Use


def discover_graph(inventory: Inventory) -> SharingGraph:
    """Group the sites that are one parameter; a group is named by its owner's FQN.

    Args:
        inventory: of any module, tied by whatever means.

    Returns:
        One group for each parameter with two FQNs or more; all others are private.
    """
    groups, private = group_unbound(inventory.sites)
    return SharingGraph(groups, private, sites=inventory.sites)


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
