"""A module, tied or not, and what its run uses go in; what sharing saves in that run comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from torch import nn
from torch.nn.parameter import is_lazy

from lightning_tying.errors import TieBroken
from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.discover import discover_graph
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import ParameterName, SharingGraph, SharingGroup, TensorMeta
from lightning_tying.lowering.resolve import find_slots
from lightning_tying.lowering.state import find_tied
from lightning_tying.reports.reckoning.family_rows import join_families
from lightning_tying.reports.reckoning.footprint import Footprint, reckon_footprint
from lightning_tying.reports.reckoning.live_meta import read_meta, refresh_meta
from lightning_tying.reports.reckoning.optimizer_state import ADAMW, NO_STATE, StateRule, StateRules
from lightning_tying.reports.reckoning.per_token import reckon_per_token
from lightning_tying.reports.reckoning.run_parts import Part
from lightning_tying.reports.reckoning.run_savings import RunSavings
from lightning_tying.reports.reckoning.traffic import Traffic

_Kind: TypeAlias = "tuple[TensorMeta, StateRule | None]"  # parameters of which all take the same


@dataclass(frozen=True)
class RunUse:
    """What a run uses besides the module.

    Args:
        rules: what the optimizers keep for each parameter, by its `id`; None reckons with AdamW.
        traffic: how the run is spread over processes.
        decodes: whether the network keeps keys and values of earlier tokens.
        cache_itemsize: bytes of one cell of them; None for those of the projections.
        divided: whether the strategy has divided the parameters so that their sizes cannot be counted.
    """

    rules: StateRules | None = None
    traffic: Traffic = field(default=Traffic())
    decodes: bool = False
    cache_itemsize: int | None = None
    divided: bool = False


def reckon_run(module: nn.Module, use: RunUse | None = None) -> RunSavings:
    """What sharing saves, group by group and in total, reconciled with the module's own parameters.

    Args:
        module: tied or not, or with tied modules inside; on any device, meta too.
        use: optimizers and strategy; None for AdamW in one process.

    Raises:
        TieBroken: the sharing groups and what is read by one site do not add up to `sum(p.numel())`.
    """
    with pause_gc():
        made = _reckon(module, use or RunUse())
    _check_counted(made, module)
    return made


def _reckon(module: nn.Module, use: RunUse) -> RunSavings:
    graphs = list(find_graphs(module))
    reckoning = _Reckoning(use.rules)
    parts: list[Part] = []
    for path, root, graph in graphs:
        parts += reckoning.take(graph, root, f"{path}: " if path and len(graphs) > 1 else "")
    names = {} if use.divided else _name_parameters(module)
    alone = _find_alone(graphs) if use.divided else _list_alone(names, reckoning.claimed)
    parts = [*sorted(parts, key=lambda part: -part.saved.parameters), *reckoning.take_alone(alone)]
    counted = None if use.divided else sum(parameter.numel() for parameter in names)
    known = [graph for _, _, graph in graphs]
    per_token = reckon_per_token(known, decodes=use.decodes, cache_itemsize=use.cache_itemsize)
    return RunSavings(tuple(parts), counted, reckoning.tell_optimizer(), use.traffic, per_token)


class _Reckoning:
    """Takes graph after graph, and remembers which parameters it has counted."""

    def __init__(self, rules: StateRules | None) -> None:
        self.rules = rules
        self.claimed: set[int] = set()
        known = [rule for rule in (rules or {}).values() if rule is not None]
        self.usual = ADAMW if rules is None else known[0] if known else NO_STATE if not rules else None

    def take(self, graph: SharingGraph, root: nn.Module, prefix: str) -> Iterator[Part]:
        """The groups of one tied root that several sites read, or that a derived site reads."""
        told = [group for group in graph.groups if _is_told(group)]
        slots = find_slots(root, (place for group in told for place in group.places))
        held = {place: slot.peek() for place, slot in slots.items()}
        self.claimed |= set(map(id, held.values()))
        now = {group.name: self._look_at(group, held[group.keeper]) for group in told}
        for group in told:
            if group.is_plain:
                once = reckon_footprint(*now[group.name])
                name, family = f"{prefix}{group.name}", f"{prefix}{group.name.family}"
                uses = len(group.uses)
                yield Part(name, "shared", uses, uses * once, once, group.meta.shape, family)
        yield from self._take_derived(graph, now, prefix)

    def _look_at(self, group: SharingGroup, parameter: nn.Parameter | None) -> tuple[TensorMeta, StateRule | None]:
        return refresh_meta(group.meta, parameter), self.find(id(parameter))

    def _take_derived(
        self, graph: SharingGraph, now: Mapping[ParameterName, tuple[TensorMeta, StateRule | None]], prefix: str
    ) -> Iterator[Part]:
        groups = {group.name: group for group in graph.groups if not group.is_plain}
        together = join_families(graph.derived, groups)
        of_family = {family: names for names in together for family in names}
        gross, net = ({names: Counter[_Kind]() for names in together} for _ in range(2))  # alike ones are counted
        changed = {group.meta.dtype: now[name][0].dtype for name, group in groups.items()}
        metas = {
            site.meta: replace(site.meta, dtype=changed[site.meta.dtype])
            for site in graph.derived
            if changed.get(site.meta.dtype, site.meta.dtype) != site.meta.dtype
        }
        for name, group in groups.items():
            names = of_family[name.family]
            gross[names][now[name]] += sum(not use.slot for use in group.uses)
            net[names][now[name]] += 1
        for derived in graph.derived:
            names = of_family[next(each.family for each in derived.expression.parameters if each.family in of_family)]
            gross[names][metas.setdefault(derived.meta, derived.meta), self.usual] += 1
        for names in together:
            title, sites = prefix + ", ".join(names), gross[names].total()
            yield Part(title, "derived", sites, _sum_kinds(gross[names]), _sum_kinds(net[names]))

    def take_alone(self, alone: Iterable[tuple[tuple[str, ...], TensorMeta, int]]) -> Iterator[Part]:
        """Parameters outside all groups; those that a module has under several names are shared as well."""
        total, sites = Footprint(), 0
        for names, meta, identity in alone:
            once = reckon_footprint(meta, self.find(identity))
            if len(names) > 1:
                yield Part(names[0], "shared", len(names), len(names) * once, once, meta.shape)
            else:
                total, sites = total + once, sites + 1
        if sites:
            yield Part("not shared", "alone", sites, total, total)

    def find(self, identity: int) -> StateRule | None:
        """The rule of a parameter, by its `id`."""
        return ADAMW if self.rules is None else self.rules.get(identity, NO_STATE)

    def tell_optimizer(self) -> str | None:
        """What the optimizers keep, in words; None as long as one of them is not known."""
        rules = [ADAMW] if self.rules is None else list(self.rules.values())
        told = [str(rule) for rule in dict.fromkeys(rules) if rule is not None]
        if len(dict.fromkeys(rules)) > len(told):
            return None
        return " and ".join(dict.fromkeys(told[:3])) or "no optimizer"


def _sum_kinds(kinds: Mapping[_Kind, int]) -> Footprint:
    return sum((count * reckon_footprint(*kind) for kind, count in kinds.items()), Footprint())


def find_graphs(module: nn.Module) -> Iterator[tuple[str, nn.Module, SharingGraph]]:
    """The plans' graphs of all tied roots; without one the graph of the ties that the module has anyway."""
    found = False
    for path, root, state in find_tied(module):
        found = True
        yield path, root, state.plan.graph
    if not found:
        yield "", module, discover_graph(take_inventory(module))


def _is_told(group: SharingGroup) -> bool:
    return len(group.uses) > 1 or not group.is_plain


def _name_parameters(module: nn.Module) -> dict[nn.Parameter, list[str]]:
    """Every parameter with all its names; what is not yet made, as in a lazy layer, is left out."""
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if not is_lazy(parameter):
            names.setdefault(parameter, []).append(name)
    return names


def _list_alone(
    names: Mapping[nn.Parameter, list[str]], claimed: set[int]
) -> list[tuple[tuple[str, ...], TensorMeta, int]]:
    """The names, metadata and identity of every parameter that no sharing group has counted."""
    left = [(parameter, told) for parameter, told in names.items() if id(parameter) not in claimed]
    return [(tuple(told), read_meta(parameter), id(parameter)) for parameter, told in left]


def _find_alone(
    graphs: Iterable[tuple[str, nn.Module, SharingGraph]],
) -> list[tuple[tuple[str, ...], TensorMeta, int]]:
    """The same from the graphs alone: a parameter that a strategy has divided does not tell its size."""
    alone: list[tuple[tuple[str, ...], TensorMeta, int]] = []
    for _, root, graph in graphs:
        slots = find_slots(root, (fqn for fqn, _ in graph.private))
        found = [(fqn, meta, slots[fqn].peek()) for fqn, meta in graph.private]
        alone += [((fqn,), refresh_meta(meta, parameter), id(parameter)) for fqn, meta, parameter in found]
        single = [group for group in graph.groups if not _is_told(group)]
        alone += [((group.owner,), group.meta, 0) for group in single]
    return alone


def _check_counted(made: RunSavings, module: nn.Module) -> None:
    if made.counted is not None and made.counted != made.net.parameters:
        raise TieBroken(
            f"What is saved cannot be told: by its sharing groups {type(module).__name__} has "
            f"{made.net.parameters:,} parameters, but sum(p.numel()) is {made.counted:,}. A tie was lost, or a shared "
            "parameter has another size than when it was tied. Call verify(module): it names the group."
        )
