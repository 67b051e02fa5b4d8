"""A sharing graph and a module in, the units that FSDP2 gathers together out, as a `ShardingPlan`.

Blocks are units of their own, unless they share most of what they have. A parameter that is read in several units gets
a unit of its readers instead; where values are computed from it, of the parametrizations, so that blocks stay single.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from torch import nn

from lightning_tying.graph.ir import SharingGraph
from lightning_tying.parallel.sharding.module_tree import Holding, ModuleTree, is_value, read_tree
from lightning_tying.parallel.sharding.settle import ROOT, Units
from lightning_tying.parallel.sharding.sharding_plan import ShardingPlan, ShardingUnit, UnitKind

if TYPE_CHECKING:
    from lightning_tying.parallel.sharding.written_units import WrittenUnits

_ALIKE = 0.5  # of the smaller block: blocks that share more are gathered together


def plan_units(graph: SharingGraph, module: nn.Module, override: WrittenUnits | None = None) -> ShardingPlan:
    """Find the units; nothing is sharded.

    Args:
        graph: of the plan that `module` is tied by, or is going to be; of `discover` where nothing ties it.
        module: that the graph's FQNs are relative to; on any device.
        override: units that are written by hand, in place of these: FQNs or patterns, or a YAML file of them.

    Raises:
        ApplyError: the written units do not fit, with all mistakes; or a parameter that FSDP2 cannot shard.
    """
    tree = read_tree(module, graph)
    if override is not None:
        from lightning_tying.parallel.sharding.written_units import find_written  # it needs this module's describing

        return describe(find_written(override, tree), tree, written=True)
    units = Units(tree.first, [[block] for block in tree.blocks])
    _join_blocks(units, tree)
    for readers in _find_components(units, tree):
        units.add(readers)
    return describe(units, tree)


def describe(units: Units, tree: ModuleTree, written: bool = False) -> ShardingPlan:
    """The units as data, after joining what must be one; those without parameters are left out."""
    order = units.settle(tree.holdings)
    held: dict[int, list[Holding]] = {number: [] for number in order}
    for holding in tree.holdings:
        held[units.find_all(holding.paths)[0]].append(holding)
    place = {path: number for number, path in enumerate(tree.first)}
    blocks = frozenset(tree.blocks)
    return ShardingPlan(
        tuple(
            ShardingUnit(
                "written" if written and number != ROOT else _name_kind(units.members[number], blocks),
                tuple(sorted(units.members[number], key=lambda path: place[path])),
                tuple(each.name for each in held[number] if each.shared),
                sum(each.cells for each in held[number]),
            )
            for number in order
            if held[number] or number == ROOT
        )
    )


def _join_blocks(units: Units, tree: ModuleTree) -> None:
    """Make one unit of blocks that share at least half of the smaller one: gathering them together costs little."""
    sizes: dict[int, int] = {}
    common: dict[tuple[int, int], int] = {}
    for holding in tree.holdings:
        found = units.find_all(holding.paths)
        plain = not any(is_value(path) for path in holding.paths)
        for number in found:
            sizes[number] = sizes.get(number, 0) + (holding.cells if plain else 0)
        if plain and ROOT not in found:
            for other in found[1:]:
                common[found[0], other] = common.get((found[0], other), 0) + holding.cells
    now = {number: number for number in units.members}
    for (one, other), cells in common.items():
        if cells >= _ALIKE * min(sizes[one], sizes[other]):
            kept = units.join({_follow(now, one), _follow(now, other)})
            now[_follow(now, one)] = now[_follow(now, other)] = now[kept] = kept


def _follow(now: Mapping[int, int], number: int) -> int:
    while now[number] != number:
        number = now[number]
    return number


def _find_components(units: Units, tree: ModuleTree) -> Iterable[set[str]]:
    """The readers of parameters that need a unit of their own; those that stand in the same units go together."""
    components: list[set[str]] = []
    for holding in tree.holdings:
        if _needs_unit(holding, units):
            readers = {tree.first[tree.hosts[_known(path, tree)]] for path in holding.paths}
            touched = [component for component in components if component & readers]
            components = [component for component in components if not component & readers]
            components.append(readers.union(*touched))
    bundles: dict[tuple[object, ...], set[str]] = {}
    for component in components:
        key = (_name_kind(component, frozenset()), units.find_all(component))
        bundles.setdefault(key, set()).update(component)
    return bundles.values()


def _known(path: str, tree: ModuleTree) -> str:
    """`fc.parametrizations.weight.0`, which holds a slot, belongs to `fc.parametrizations.weight`."""
    return path if path in tree.first else path.rpartition(".")[0]


def _needs_unit(holding: Holding, units: Units) -> bool:
    if any(is_value(path) for path in holding.paths):
        return True
    found = units.find_all(holding.paths)
    return len(found) > 1 or (found == (ROOT,) and len(holding.paths) > 1)


def _name_kind(members: Iterable[str], blocks: frozenset[str]) -> UnitKind:
    members = set(members)
    if "" in members:
        return "root"
    if members <= blocks:
        return "block" if len(members) == 1 else "blocks"
    values = sum(is_value(path) for path in members)
    return "aliases" if not values else "values" if values == len(members) else "mixed"
