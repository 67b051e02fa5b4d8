"""The sites of an average in, one set for all that differ only in the member that they belong to out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.syncs.sync_sets import SyncPlan, SyncSet
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nodes import Sync

Key = tuple[tuple[str, int | str], ...]


def make_average_sets(sync: Sync, matches: Sequence[Match]) -> SyncPlan:
    """Put the sites of an average together.

    Sites with the same captures but for the hole `over` are one set, its value is the member; without a hole all sites
    are one set, each its own member. A set of one site has nothing to be averaged with and is left out.

    Args:
        sync: the entry.
        matches: its sites, in model order.

    Raises:
        Mistake: 93, where weights and members do not go together; 94 or 95, where nothing is averaged.
    """
    over = sync.over or next((name for pattern in sync.sites for name in pattern.captures), "")
    sets: dict[Key, dict[str, Match]] = {}
    for match in matches:
        if over and over not in match.captures:
            raise Mistake("94", f"{match.pattern.text} has no hole `{over}`, over which the others are averaged.")
        member = str(match.captures[over]) if over else match.fqn
        key = tuple(sorted((name, value) for name, value in match.captures.items() if name != over))
        held = sets.setdefault(key, {})
        if member in held:
            text = f"{held[member].fqn} and {match.fqn} are both `{member}` in one set."
            raise Mistake("94", f"{text} Write two entries, or a hole that tells them apart.")
        held[member] = match
    several = [held for held in sets.values() if len(held) > 1]
    if not several:
        first = matches[0].fqn
        what = f"differs from another in `{over}` alone" if over else "is matched beside it"
        raise Mistake(
            "95", f"Nothing is averaged: {first} has no site that {what}. An average needs two sites or more."
        )
    members = tuple(dict.fromkeys(member for held in several for member in held))
    _check_weights(sync, members, several)
    made = tuple(SyncSet(tuple(match.site.fqn for match in held.values()), tuple(held)) for held in several)
    return SyncPlan(sync, _keep_different(made, several), members)


def _keep_different(sets: Sequence[SyncSet], held: Sequence[Mapping[str, Match]]) -> tuple[SyncSet, ...]:
    """Without the sets whose parameters, under other names, are those of an earlier one."""
    kept: dict[tuple[int, ...], SyncSet] = {}
    for made, matches in zip(sets, held, strict=True):
        kept.setdefault(tuple(match.site.parameter for match in matches.values()), made)
    return tuple(kept.values())


def _check_weights(sync: Sync, members: Sequence[str], sets: Sequence[Mapping[str, Match]]) -> None:
    weights = sync.weights
    if isinstance(weights, str):
        return
    if isinstance(weights, Mapping):
        if set(weights) != set(members):
            has, needs = ", ".join(weights), ", ".join(members)
            raise Mistake("93", f"`weights` names {has}, and the members are {needs}. Give each of them one number.")
    elif len(weights) != len(members):
        what = "rows" if isinstance(weights[0], tuple) else "numbers"
        shown = ", ".join(members[:8]) + (", …" if len(members) > 8 else "")
        raise Mistake("93", f"`weights` has {len(weights)} {what}, and there are {len(members)} members: {shown}.")
    short = next((held for held in sets if len(held) < len(members)), None)
    if short is not None and not isinstance(weights, Mapping) and isinstance(weights[0], tuple):
        lacking = next(member for member in members if member not in short)
        first = next(iter(short.values())).fqn
        text = f"A mixing matrix needs a site of every member; {first} has none of `{lacking}`."
        raise Mistake("93", f"{text} Take it out with except.")
