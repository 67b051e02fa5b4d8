"""A spec's `sync` entries and an inventory in, the sets of sites that each of them is about out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lightning_tying.graph.inventory import Inventory
from lightning_tying.graph.matching.match import Match, Matcher
from lightning_tying.graph.report import Report
from lightning_tying.graph.syncs.average_sets import make_average_sets
from lightning_tying.graph.syncs.check_sets import check_sets
from lightning_tying.graph.syncs.find_sources import find_same, find_sources
from lightning_tying.graph.syncs.sync_sets import SyncPlan, SyncSet
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nodes import SpecContent, Sync
from lightning_tying.spec.syncs import RANKS

NamesOfFile: TypeAlias = Callable[[str], Sequence[str]]


def find_syncs(
    spec: SpecContent, inventory: Inventory, report: Report, names_of_file: NamesOfFile | None = None
) -> tuple[SyncPlan, ...]:
    """Say what the entries of `sync` mean for one model.

    Args:
        spec: what was written.
        inventory: what `take_inventory` found in the module.
        report: takes the mistakes 25 to 33 and 93 to 98; an entry that has one is left out.
        names_of_file: the tensors in a file, by its path; None leaves the sources of such copies open.
    """
    matcher = Matcher(inventory, spec.root, report)
    finder = _Finder(f"{spec.root}." if spec.root else "", matcher, inventory, report, names_of_file)
    plans = [finder.find(sync) for sync in spec.syncs]
    return tuple(plan for plan in plans if plan is not None)


@dataclass(frozen=True)
class _Finder:
    """What all entries of one spec are read with."""

    prefix: str
    matcher: Matcher
    inventory: Inventory
    report: Report
    names_of_file: NamesOfFile | None

    def find(self, sync: Sync) -> SyncPlan | None:
        matches = self.matcher.match_entry(sync)
        if not matches:
            return None
        try:
            plan = self._make_plan(sync, matches)
            check_sets(plan, {site.fqn: site for site in self.inventory.sites})
        except Mistake as mistake:
            self.report.add(mistake.code, sync.location, mistake.text)
            return None
        return plan

    def _make_plan(self, sync: Sync, matches: Sequence[Match]) -> SyncPlan:
        if sync.how == "average" and sync.over != RANKS:
            return make_average_sets(sync, matches)
        sources = self._find_sources(sync, matches)
        sets: list[SyncSet] = []
        for match in matches:
            source = (sources[match.fqn],) if sources else ()
            sets.append(SyncSet((match.site.fqn,), sources=source))
        return SyncPlan(sync, tuple(dict.fromkeys(sets)))

    def _find_sources(self, sync: Sync, matches: Sequence[Match]) -> dict[str, str]:
        """By a site's relative FQN, the full FQN of its source, or the name of it in a file."""
        if sync.file is None:
            found = find_sources(sync.source, matches, self.matcher.names) if sync.source is not None else {}
            return {fqn: self.prefix + name for fqn, name in found.items()}
        if self.names_of_file is None:
            return {}
        names = self.names_of_file(sync.file)
        return find_sources(sync.source, matches, names) if sync.source is not None else find_same(matches, names)
