"""Matches of all entries in, one binding for each site out (errors 34 and 35)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.parts import ParameterName, Site, Written
from lightning_tying.graph.reading.templates import Reading
from lightning_tying.graph.report import Report, name_place
from lightning_tying.spec.schema import Equation, Tie


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Stands for the name of a `tie` without one until its owner is known."""

    entry: int


BoundName = ParameterName | Anonymous | Reading


@dataclass(frozen=True)
class BoundEntry:
    """An entry with its sites and what each of them reads.

    Args:
        entry: what was written.
        number: its place in the spec.
        matches: its sites in model order.
        names: what each reads; empty where the names were refused.
    """

    entry: Equation | Tie
    number: int
    matches: tuple[Match, ...]
    names: Sequence[BoundName]

    @cached_property
    def written(self) -> Written:
        """What messages say of the entry."""
        if isinstance(self.entry, Tie):
            return Written(self.entry.name or "")
        value, ref = self.entry.value, self.entry.value.bare
        used = {word for scalar in ref.index for word in scalar.words} if ref is not None else set[str]()
        unused = [name for name in self.entry.sites[0].captures if name not in used]
        if ref is None or not unused:
            return Written(value.text)
        return Written(value.text, f"{ref.name}[{', '.join((*(scalar.text for scalar in ref.index), *unused))}]")


@dataclass(slots=True, eq=False)
class Binding:
    """One site, bound.

    Args:
        match: the site as it was matched; for another FQN of a bound parameter, that of the bound one.
        site: the site.
        name: what it reads.
        source: the entry that says so.
    """

    match: Match
    site: Site
    name: BoundName
    source: BoundEntry

    @property
    def is_bare(self) -> bool:
        """Whether the site reads a parameter as it is."""
        return not isinstance(self.name, Reading)


def bind_sites(entries: Iterable[BoundEntry], sites: Sequence[Site], report: Report) -> dict[int, Binding]:
    """Bind every site once.

    Args:
        entries: in the order of the spec.
        sites: of the whole model, in model order.
        report: takes the mistakes 34 and 35.

    Returns:
        The bindings by position in model order. All FQNs of a bound parameter are bound.
    """
    bound: dict[int, Binding] = {}
    taken: dict[int, tuple[BoundEntry, Match]] = {}
    for source in entries:
        _take_sites(source, taken, report)
        for match, name in zip(source.matches, source.names, strict=False):
            if taken[match.position][1] is match:
                bound[match.position] = Binding(match, match.site, name, source)
    _bind_other_names(bound, sites, report)
    return dict(sorted(bound.items()))


def _take_sites(source: BoundEntry, taken: dict[int, tuple[BoundEntry, Match]], report: Report) -> None:
    """A site that an earlier entry has taken is bound twice; told once for each pair of entries."""
    clashes: dict[int, list[tuple[BoundEntry, Match, Match]]] = {}
    for match in source.matches:
        earlier = taken.setdefault(match.position, (source, match))
        if earlier[1] is not match:
            clashes.setdefault(earlier[0].number, []).append((earlier[0], earlier[1], match))
    for pairs in clashes.values():
        earlier_source, earlier_match, match = pairs[0]
        if earlier_source is source:
            text = _explain_two_ways(earlier_match, match)
        else:
            text = _explain_twice(earlier_source, source, [pair[2] for pair in pairs])
        report.add("35", source.entry.location, text)


def _explain_two_ways(first: Match, second: Match) -> str:
    ways = [f"`{match.pattern.text}` with {_write_captures(match)}" for match in (first, second)]
    return f"{first.fqn} is bound twice here, by {ways[0]} and by {ways[1]}. Write one of the patterns out."


def _write_captures(match: Match) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in match.captures.items()) or "no captures"


def _explain_twice(earlier: BoundEntry, later: BoundEntry, matches: Sequence[Match]) -> str:
    """Advice goes to the entry with more sites; a removed site is named by its FQN, several by the other's patterns."""
    first, more = matches[0].fqn, len(matches) - 1
    place = name_place(earlier.entry.location)
    sites = f"{first} is" if not more else f"{first} and {more} more {'site' if more == 1 else 'sites'} are"
    narrow, wide = (later, earlier) if len(earlier.matches) >= len(later.matches) else (earlier, later)
    patterns = [first] if not more else [pattern.text for pattern in narrow.entry.sites]
    written = patterns[0] if len(patterns) == 1 else "[" + ", ".join(patterns) + "]"
    where = f"at {place}" if wide is earlier else "here"
    return f"{sites} bound twice, here and at {place}. Write except: {written} {where}."


def _bind_other_names(bound: dict[int, Binding], sites: Sequence[Site], report: Report) -> None:
    """Binding one FQN binds the parameter; two of its FQNs that are bound differently are error 34."""
    if len({site.parameter for site in sites}) == len(sites):
        return
    positions: dict[int, list[int]] = {}
    for position, site in enumerate(sites):
        positions.setdefault(site.parameter, []).append(position)
    told: set[tuple[int, int]] = set()
    for members in positions.values():
        named = [bound[position] for position in members if position in bound]
        if len(members) < 2 or not named:
            continue
        other = next((binding for binding in named if _differ(binding.name, named[0].name)), None)
        if other is not None:
            _report_difference(named[0], other, told, report)
        for position in members:
            if position not in bound:
                bound[position] = Binding(named[0].match, sites[position], named[0].name, named[0].source)


def _differ(one: BoundName, other: BoundName) -> bool:
    return not one.reads_alike(other) if isinstance(one, Reading) else one != other


def _report_difference(first: Binding, second: Binding, told: set[tuple[int, int]], report: Report) -> None:
    early, late = sorted((first, second), key=lambda binding: binding.source.number)
    pair = (early.source.number, late.source.number)
    if pair in told:
        return
    told.add(pair)
    places = _write_places(early, late)
    text = (
        f"{first.site.fqn} and {second.site.fqn} are one parameter in this model already, and {places} "
        f"differently. Bind them alike, or untie them first: untie(module, [{second.site.fqn!r}])."
    )
    report.add("34", late.source.entry.location, text)


def _write_places(early: Binding, late: Binding) -> str:
    if early.source is late.source:
        return f"{name_place(early.source.entry.location)} binds them"
    first, second = (binding.source.entry.location for binding in (early, late))
    if first.line is not None and first.line == second.line:
        return f"two entries of line {first.line} bind them"
    if first.line is not None and second.line is not None:
        return f"lines {first.line} and {second.line} bind them"
    return f"{name_place(first)} and {name_place(second)} bind them"
