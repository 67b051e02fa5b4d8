"""The sites of an `ema` or a `copy` and the names that there are in, the source of each site out."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.matching.nearest_site import name_nearest_site
from lightning_tying.graph.matching.site_index import SiteIndex
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import nearest_name
from lightning_tying.spec.patterns import Captures, Pattern

Key = frozenset[tuple[str, int | str]]


def find_sources(source: Pattern, targets: Sequence[Match], names: Sequence[str]) -> dict[str, str]:
    """For each site the name that `from` matches with the site's captures.

    Args:
        source: the pattern `from`; its holes are among those of the sites' patterns.
        targets: the sites.
        names: FQNs relative to the root, or the names in a file.

    Returns:
        By the site's relative FQN, its source.

    Raises:
        Mistake: 97, a site has none, or more than one.
    """
    found: dict[Key, str] = {}
    index = SiteIndex(names)
    for place, sets in index.find(source):
        for captures in sets:
            first = found.setdefault(frozenset(captures.items()), names[place])
            if first != names[place]:
                text = f"`{source.text}` names two sources at once, {first} and {names[place]}."
                raise Mistake("97", f"{text} Write it with the holes of the sites.")
    return {match.fqn: _find_one(match, source, found, names) for match in targets}


def find_same(targets: Sequence[Match], names: Sequence[str]) -> dict[str, str]:
    """For each site the name in a file that is its own.

    Args:
        targets: the sites.
        names: those in the file.

    Raises:
        Mistake: 97, one is missing.
    """
    held = frozenset(names)
    for match in targets:
        if match.fqn not in held:
            near = nearest_name(match.fqn, names)
            nearest = f" Nearest: {near}." if near is not None else ""
            raise Mistake("97", f"{match.fqn} has no source: the file has no tensor of that name.{nearest}")
    return {match.fqn: match.fqn for match in targets}


def _find_one(match: Match, source: Pattern, found: dict[Key, str], names: Sequence[str]) -> str:
    lacking = next((name for name in source.captures if name not in match.captures), None)
    if lacking is not None:
        raise Mistake("97", f"`from: {source.text}` has the hole `{lacking}`, which {match.pattern.text} has not.")
    wanted = {name: match.captures[name] for name in source.captures}
    hit = found.get(frozenset(wanted.items()))
    if hit is None:
        near = name_nearest_site(source, names)
        nearest = f" Nearest: {near}." if near is not None and not found else ""
        raise Mistake("97", f"{match.fqn} has no source: `{source.text}` matches nothing{_say(wanted)}.{nearest}")
    return hit


def _say(captures: Captures) -> str:
    return " with " + ", ".join(f"{name}={value!r}" for name, value in captures.items()) if captures else ""
