"""From the entries of a spec and the sites of a module to the sites that each entry is about, with their captures."""

from __future__ import annotations

from collections.abc import Iterable, KeysView, Sequence
from dataclasses import dataclass

from lightning_tying.errors import Location
from lightning_tying.graph.inventory import Inventory, Unbindable
from lightning_tying.graph.matching.explain import (
    explain_no_match,
    explain_unbindable,
    list_unmatched_alternatives,
)
from lightning_tying.graph.matching.nearest_site import name_nearest_site
from lightning_tying.graph.matching.site_index import SiteIndex
from lightning_tying.graph.parts import Site
from lightning_tying.graph.report import Report
from lightning_tying.spec.patterns import Captures, Pattern
from lightning_tying.spec.schema import Equation, Sync, Tie


@dataclass(slots=True, eq=False)
class Match:
    """One site that a pattern of an entry matches.

    Args:
        position: the site's place in model order.
        site: the site.
        fqn: its FQN relative to the spec's root.
        pattern: what matched it.
        captures: the values of the pattern's holes.
    """

    position: int
    site: Site
    fqn: str
    pattern: Pattern
    captures: Captures


class Matcher:
    """Matches the patterns of one spec against one inventory, and reports the mistakes 25 to 32 and 36 to 38.

    Args:
        inventory: of the module given to `tie`.
        root: the FQN that patterns are relative to.
        report: takes the mistakes.
    """

    def __init__(self, inventory: Inventory, root: str, report: Report) -> None:
        self._inventory = inventory
        self._root = f"{root}." if root else ""
        self._report = report
        start = len(self._root)
        self._sites = [site for site in inventory.sites if site.fqn.startswith(self._root)]
        self._positions = [i for i, site in enumerate(inventory.sites) if site.fqn.startswith(self._root)]
        self._index = SiteIndex([site.fqn[start:] for site in self._sites])
        self._unbindable = [entry for entry in inventory.unbindable if entry.fqn.startswith(self._root)]
        self._unbindable_index = SiteIndex([entry.fqn[start:] for entry in self._unbindable])

    def match_entry(self, entry: Equation | Tie | Sync) -> tuple[Match, ...]:
        """The sites of an entry without `except` and before `where`, in model order; () where it was refused."""
        before = len(self._report.problems)
        found = [match for pattern in entry.sites for match in self._match_pattern(pattern, entry.location)]
        names = dict.fromkeys(match.fqn for match in found)
        excluded = self._find_excluded(entry, names.keys())
        self._refuse_unbindable(entry, excluded, names.keys())
        matches = _sort_matches(match for match in found if match.fqn not in excluded)
        if found and not matches:
            self._report.add("33", entry.location, f"`except` removes all {len(found)} sites.")
        if isinstance(entry, Tie) and len(self._report.problems) == before:
            self._check_tie(entry, matches)
        return matches if len(self._report.problems) == before else ()

    @property
    def names(self) -> Sequence[str]:
        """The FQNs of all sites, relative to the root, in model order."""
        return self._index.names

    def find(self, pattern: Pattern) -> list[Match]:
        """The sites that one pattern matches, in model order; nothing is reported."""
        return [self._make_match(pattern, place, sets[0]) for place, sets in self._index.find(pattern)]

    def _make_match(self, pattern: Pattern, place: int, captures: Captures) -> Match:
        return Match(self._positions[place], self._sites[place], self._index.names[place], pattern, captures)

    def _match_pattern(self, pattern: Pattern, location: Location) -> list[Match]:
        matches: list[Match] = []
        doubtful: tuple[str, tuple[Captures, ...]] | None = None
        for place, sets in self._index.find(pattern):
            matches.append(self._make_match(pattern, place, sets[0]))
            if len(sets) > 1 and doubtful is None:
                doubtful = matches[-1].fqn, sets
        if doubtful is not None:
            self._report.add("30", location, _explain_doubt(pattern, *doubtful))
        if matches:
            self._check_alternatives(pattern, matches, location)
        elif not self._unbindable_index.find(pattern):
            self._report.add(*explain_no_match(pattern, self._inventory, self._root, self._index, location))
        return matches

    def _check_alternatives(self, pattern: Pattern, matches: list[Match], location: Location) -> None:
        captured = [match.captures for match in matches]
        for hole, alternative, near in list_unmatched_alternatives(pattern, captured, self._index):
            text = f"`{alternative}` in `{hole.text}` matches no site.{_say_nearest(near)}"
            self._report.add("31", location, text)

    def _find_excluded(self, entry: Equation | Tie | Sync, found: KeysView[str]) -> set[str]:
        excluded: set[str] = set()
        for pattern in entry.excluded:
            hits = {self._index.names[place] for place, _ in self._index.find(pattern)} & found
            hits |= {self._unbindable_index.names[place] for place, _ in self._unbindable_index.find(pattern)}
            if not hits and found:
                nearest = _say_nearest(name_nearest_site(pattern, found))
                self._report.add("32", entry.location, f"`except: {pattern.text}` removes no site.{nearest}")
            excluded |= hits
        return excluded

    def _refuse_unbindable(self, entry: Equation | Tie | Sync, excluded: set[str], found: KeysView[str]) -> None:
        """Each tensor that a pattern names and that cannot be bound, but a parametrization with bound originals."""
        refused: dict[str, Unbindable] = {}
        for pattern in entry.sites:
            for place, _ in self._unbindable_index.find(pattern):
                refused[self._unbindable_index.names[place]] = self._unbindable[place]
        for fqn, unbindable in refused.items():
            originals = {original.removeprefix(self._root) for original in unbindable.originals}
            if fqn not in excluded and not originals & found:
                self._report.add(*explain_unbindable(unbindable, fqn, self._root, entry.location))

    def _check_tie(self, entry: Tie, matches: tuple[Match, ...]) -> None:
        if len({match.position for match in matches}) < 2:
            alone = f"{matches[0].fqn} alone" if matches else "none"
            self._report.add("29", entry.location, f"A tie needs two sites or more; this one has {alone}.")


def _say_nearest(near: str | None) -> str:
    return f" Nearest: {near}." if near is not None else ""


def _sort_matches(matches: Iterable[Match]) -> tuple[Match, ...]:
    """In model order; a site that two patterns match with the same captures counts once."""
    listed = list(matches)
    if len({match.pattern.text for match in listed}) == 1:
        return tuple(listed)  # one pattern finds a site once, and in model order
    kept: dict[tuple[int, frozenset[tuple[str, int | str]]], Match] = {}
    for match in listed:
        kept.setdefault((match.position, frozenset(match.captures.items())), match)
    return tuple(sorted(kept.values(), key=lambda match: match.position))


def _explain_doubt(pattern: Pattern, fqn: str, sets: tuple[Captures, ...]) -> str:
    ways = [", ".join(f"{name}={value!r}" for name, value in captures.items()) for captures in sets]
    text = f"`{pattern.text}` matches {fqn} in more than one way, such as {ways[0]} and {ways[1]}."
    return f"{text} Write one of them out."
