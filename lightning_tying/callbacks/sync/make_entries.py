"""A module and the `sync` entries of a spec in, the entries at work on its parameters out; copies are made at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import LightningModule
from torch import nn

from lightning_tying.callbacks.sync.averages import MemberAverage
from lightning_tying.callbacks.sync.copies import Follow, Lookahead, Shadow
from lightning_tying.callbacks.sync.entry import Entry
from lightning_tying.callbacks.sync.ranks import RankAverage
from lightning_tying.callbacks.sync.source_values import SourceFiles, find_values
from lightning_tying.callbacks.sync.traffic import Traffic
from lightning_tying.errors import ConfigError, SpecError
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.report import Report
from lightning_tying.graph.syncs.find_syncs import NamesOfFile, find_syncs
from lightning_tying.graph.syncs.sync_sets import SyncPlan
from lightning_tying.lowering.members import Member, find_members
from lightning_tying.lowering.sync.copy import check_copy, write_copy
from lightning_tying.lowering.sync.places import find_parameters, list_reads, require_parameter
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.spec.syncs import RANKS


def find_network(module: LightningModule) -> nn.Module:
    """What patterns are relative to: the network of a tied module, any other module itself."""
    network = getattr(module, "tied_network", module)
    return network if isinstance(network, nn.Module) else module


def find_spec(module: LightningModule, sync: Sequence[Mapping[str, Any]] | None) -> SharingSpec | None:
    """The spec that says what is shared in time: what the callback was given, else the module's.

    Raises:
        SpecError: an entry is wrong.
    """
    own = getattr(module, "tied_spec", None)
    if sync is None:
        return own if isinstance(own, SharingSpec) and own.syncs else None
    given = load_spec({"sync": [dict(entry) for entry in sync]})
    return given if given.syncs else None


def plan_syncs(spec: SharingSpec, root: nn.Module, names_of_file: NamesOfFile | None = None) -> tuple[SyncPlan, ...]:
    """The sets of sites of each entry.

    Raises:
        SpecError: with all mistakes.
    """
    report = Report()
    plans = find_syncs(spec, take_inventory(root), report, names_of_file)
    if report.problems:
        raise SpecError(report.problems)
    return plans


def make_copies(spec: SharingSpec, root: nn.Module) -> int:
    """Carry out every `copy` of a spec: all values are read and checked before the first is written.

    Returns:
        How many sites have got a value.

    Raises:
        SpecError: an entry is wrong; nothing has changed.
        ConfigError: a file is missing, or what is copied does not fit; nothing has changed.
    """
    if all(sync.how != "copy" for sync in spec.syncs):
        return 0
    _require_values(root)
    files = SourceFiles(spec.folder, root)
    plans = [plan for plan in plan_syncs(spec, root, files.names) if plan.sync.how == "copy"]
    values = [find_values(plan, root, files) for plan in plans]
    for plan, found in zip(plans, values, strict=True):
        check_copy(root, found, plan.sync.then, str(plan.sync.location))
    for plan, found in zip(plans, values, strict=True):
        write_copy(root, found, plan.sync.then)
    return sum(len(found) for found in values)


def freeze_copies(spec: SharingSpec, root: nn.Module) -> None:
    """What a resumed run needs of its copies: their values come from the checkpoint, no file is read."""
    if all(sync.then != "freeze" for sync in spec.syncs):
        return
    for plan in plan_syncs(spec, root):
        if plan.sync.then == "freeze":
            for parameter in find_parameters(find_members(root), _list_sites(plan)).values():
                parameter.requires_grad_(False)


def _require_values(root: nn.Module) -> None:
    if any(parameter.is_meta for parameter in root.parameters()) or next(root.parameters(), None) is None:
        raise ConfigError(
            "A copy needs a network that is built and has values when the fit begins; this one is built later. "
            "Build it in `__init__`."
        )


def make_entries(spec: SharingSpec, root: nn.Module, traffic: Traffic) -> list[Entry]:
    """The entries that have rounds, in file order.

    Raises:
        SpecError: an entry is wrong.
        ConfigError: a site is computed, or weights and processes do not go together.
    """
    members = find_members(root)
    return [_make_entry(plan, members, traffic) for plan in plan_syncs(spec, root) if plan.sync.how != "copy"]


def _make_entry(plan: SyncPlan, members: Mapping[str, Member], traffic: Traffic) -> Entry:
    sync, where = plan.sync, str(plan.sync.location)
    if sync.how == "average" and sync.over != RANKS:
        sets = [
            {
                member: require_parameter(members, site, where)
                for member, site in zip(each.members, each.sites, strict=True)
            }
            for each in plan.sets
        ]
        return MemberAverage(sync, plan.members, sets)
    if sync.source is not None:
        return Follow(sync, _pair(plan, members, where))
    sites = _list_sites(plan)
    if sync.how == "average":
        return RankAverage(sync, find_parameters(members, sites), traffic)
    reads = list(list_reads(members, sites))
    return Shadow(sync, reads) if sync.how == "ema" else Lookahead(sync, reads)


def _pair(plan: SyncPlan, members: Mapping[str, Member], where: str) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """What follows and what it follows; sites that are one parameter follow one source."""
    pairs: dict[int, tuple[str, nn.Parameter, nn.Parameter]] = {}
    for each in plan.sets:
        target, source = (require_parameter(members, name, where) for name in (each.sites[0], each.sources[0]))
        first = pairs.setdefault(id(target), (each.sites[0], target, source))
        if first[2] is not source:
            raise ConfigError(
                f"{where}: {first[0]} and {each.sites[0]} are one parameter and would follow two sources. Take one of "
                "them out with except."
            )
    return [(target, source) for _, target, source in pairs.values()]


def _list_sites(plan: SyncPlan) -> list[str]:
    return [site for each in plan.sets for site in each.sites]
