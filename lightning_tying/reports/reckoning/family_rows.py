"""What derived sites save in; a row for each set of parameters that belong together out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.graph.ir import DerivedSite, SharingGraph, SharingGroup

MOST_ROWS = 12


@dataclass(frozen=True)
class FamilySavings:
    """What the sites save that are computed from the same families of parameters, in cells.

    Args:
        name: of the families: `W, low_rank.A, low_rank.B`.
        sites: how many read them, those that read one of them as it is included.
        before: cells of these sites, each with a parameter of its own.
        after: cells of the parameters of these families.
    """

    name: str
    sites: int
    before: int
    after: int

    @property
    def saved(self) -> int:
        return self.before - self.after


def list_families(graph: SharingGraph) -> tuple[FamilySavings, ...]:
    """The savings of all derived sites, and of the aliases of parameters that such a site reads.

    Families that one site reads stand together, so that every parameter is counted once; the largest savings first.
    """
    groups = {group.name: group for group in graph.groups if not group.is_plain}
    together = join_families(graph.derived, groups)
    found = [_reckon(names, graph.derived, groups) for names in together]
    return tuple(sorted(found, key=lambda family: -family.saved))


def family_rows(families: Iterable[FamilySavings]) -> tuple[tuple[str, ...], ...]:
    """Names, cells before and after, sites, cells, saved cells; more than twelve rows are summed up."""
    ordered = list(families)
    rows = [_row(family.name, family) for family in ordered[:MOST_ROWS]]
    left = ordered[MOST_ROWS:]
    if left:
        sums = (sum(family.sites for family in left), sum(family.before for family in left))
        rows.append(_row(f"{len(left):,} more", FamilySavings("", *sums, sum(family.after for family in left))))
    return tuple(rows)


def _row(title: str, family: FamilySavings) -> tuple[str, ...]:
    cells = f"{family.before:,} -> {family.after:,}"
    return title, cells, f"{family.sites:,}", f"{family.after:,}", f"{family.saved:,}"


def join_families(
    derived: Iterable[DerivedSite], groups: Mapping[ParameterName, SharingGroup]
) -> list[tuple[str, ...]]:
    """Families that some site reads together, each set once, in the order in which they are read."""
    sets: dict[str, dict[str, None]] = {}
    for names in dict.fromkeys(read_families(site) for site in derived):
        joined = dict.fromkeys(part for name in names for part in (*sets.get(name, ()), name))
        sets |= dict.fromkeys(joined, joined)
    known = {name.family for name in groups}
    return list(dict.fromkeys(tuple(name for name in joined if name in known) for joined in sets.values()))


def read_families(site: DerivedSite) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.family for name in site.expression.parameters))


def _reckon(
    names: tuple[str, ...], derived: Iterable[DerivedSite], groups: Mapping[ParameterName, SharingGroup]
) -> FamilySavings:
    members = [group for group in groups.values() if group.name.family in names]
    aliases = [group.meta.numel for group in members for use in group.uses if not use.slot]
    sites = [site.meta.numel for site in derived if not set(names).isdisjoint(read_families(site))]
    cells = sum(group.meta.numel for group in members)
    return FamilySavings(", ".join(names), len(aliases) + len(sites), sum(aliases) + sum(sites), cells)
