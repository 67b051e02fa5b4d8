"""Positions and counts of captures (4.1): the rank of a capture's value among sites that are alike up to its hole."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from lightning_tying.spec.pattern_parts import Hole, Part, Text
from lightning_tying.spec.patterns import Captures, Pattern

_Ranks = dict[str, dict[int | str, int]]  # FQN up to the hole -> value -> rank


class Captured(Protocol):
    """A site with the pattern that matched it."""

    @property
    def fqn(self) -> str: ...
    @property
    def pattern(self) -> Pattern: ...
    @property
    def captures(self) -> Captures: ...


class Positions:
    """The values that captures take among the sites of one equation, ranked when they are first asked for.

    Args:
        matches: the equation's sites.
    """

    def __init__(self, matches: Sequence[Captured]) -> None:
        self._matches = matches
        self._ranks: dict[str, _Ranks] = {}

    def position(self, name: str, match: Captured) -> int:
        """The rank of a capture's value, from 0."""
        return self._rank(name)[find_prefix(match, name)][match.captures[name]]

    def count(self, name: str, match: Captured) -> int:
        """How many values the capture takes."""
        return len(self._rank(name)[find_prefix(match, name)])

    def _rank(self, name: str) -> _Ranks:
        ranks = self._ranks.get(name)
        if ranks is None:
            values: dict[str, set[int | str]] = {}
            for match in self._matches:
                if name in match.captures:
                    values.setdefault(find_prefix(match, name), set()).add(match.captures[name])
            ranks = self._ranks[name] = {prefix: _rank_values(members) for prefix, members in values.items()}
        return ranks


def find_prefix(match: Captured, name: str) -> str:
    """The FQN up to a hole; sites for which it is the same are counted together."""
    fixed = _find_fixed_start(match.pattern, name)
    if fixed is not None:
        return match.fqn[:fixed]
    place = match.pattern.captures.index(name)
    return match.fqn[: _find_starts(match)[place]]


@lru_cache(maxsize=1024)
def _find_fixed_start(pattern: Pattern, name: str) -> int | None:
    """Where a hole begins that only text stands before: the same place in every FQN."""
    at = 0
    for part in pattern.parts:
        if isinstance(part, Hole) and part.name == name:
            return at
        if not isinstance(part, Text):
            return None
        at += len(part.text)
    return None


def _rank_values(values: set[int | str]) -> dict[int | str, int]:
    ordered = sorted(values, key=lambda value: (isinstance(value, str), value))
    return {value: rank for rank, value in enumerate(ordered)}


def _find_starts(match: Captured) -> list[int]:
    """Where the holes begin: read off the captures where only text stands between, else searched."""
    starts: list[int] = []
    closed, at = f"{match.fqn}.", 0
    for part in match.pattern.parts:
        if isinstance(part, Text) and closed.startswith(part.text, at):
            at += len(part.text)
        elif isinstance(part, Hole):
            starts.append(at)
            at += len(str(match.captures[part.name]))  # shorter than the text where a number has leading zeros
        else:
            return _search_starts(match)
    return starts


def _search_starts(match: Captured) -> list[int]:
    """Follow parts and places forward, each place reached once; then one way back from the end."""
    parts, closed = match.pattern.parts, f"{match.fqn}."
    reached: list[dict[int, int]] = [{0: 0}]  # after each part: end -> a start from which it was reached
    for part in parts:
        ends: dict[int, int] = {}
        for start in reached[-1]:
            for end in part.ends(closed, start):
                if _takes(part, closed[start:end], match.captures):
                    ends.setdefault(end, start)
        reached.append(ends)
    starts: list[int] = []
    at = len(closed)
    for part, ends in zip(reversed(parts), reversed(reached), strict=False):
        at = ends[at]
        if isinstance(part, Hole):
            starts.append(at)
    return starts[::-1]


def _takes(part: Part, text: str, captures: Captures) -> bool:
    if not isinstance(part, Hole):
        return True
    value = captures[part.name]
    return text == value if isinstance(value, str) else text.isdigit() and int(text) == value
