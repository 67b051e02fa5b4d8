"""What a caller says of a partition in; the sites of each part out, or a refusal that names the first mistake."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import cast

from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGroup
from lightning_tying.spec.nearest import nearest_name


def read_partition(group: SharingGroup, partition: Sequence[Collection[str]], path: str) -> list[frozenset[str]]:
    """The parts as sets.

    Args:
        group: that is to be split.
        partition: its sites as the plan says them, or with the tied module's own path in front.
        path: of the tied module.

    Raises:
        ApplyError: a use is missing, stands twice or is none of the group's, or there is nothing to part.
    """
    found = [frozenset(part) for part in _strip(partition, path, group.sites)]
    listed = [site for part in found for site in part]
    for site in listed:
        if site not in group.sites:
            near = nearest_name(site, group.sites)
            raise ApplyError(f"{site} does not read `{group.name}`." + (f" Nearest: {near}." if near else ""))
    twice = [site for site in group.sites if listed.count(site) > 1]
    missing = [site for site in group.sites if site not in listed]
    if twice:
        raise ApplyError(f"{twice[0]} is in two parts of `{group.name}`. Name each use once.")
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ApplyError(f"The partition of `{group.name}` misses {missing[0]}{more}. Name each use once.")
    if not all(found) or len(found) < 2:
        raise ApplyError(f"`{group.name}` is split into two parts or more, none of them empty; these are {len(found)}.")
    return found


def _strip(partition: Sequence[Collection[str]], path: str, sites: Sequence[str]) -> list[list[str]]:
    """Sites as the plan says them; those with the tied module's own path in front are meant alike."""
    prefix = f"{path}."
    return [
        [site[len(prefix) :] if path and _is_inside(site, prefix, sites) else site for site in part]
        for part in _check_parts(partition)
    ]


def _is_inside(site: str, prefix: str, sites: Sequence[str]) -> bool:
    return site not in sites and site.startswith(prefix) and site[len(prefix) :] in sites


def _check_parts(partition: Iterable[object]) -> list[list[str]]:
    """Every part as a list of names.

    Raises:
        ApplyError: something else.
    """
    parts: list[list[str]] = []
    for part in partition:
        listed = (
            list(cast("Collection[object]", part))
            if isinstance(part, Collection) and not isinstance(part, str)
            else [part]
        )
        if isinstance(part, str) or not all(isinstance(site, str) for site in listed):
            raise ApplyError(
                f"A partition is a list of lists of sites, [['a.weight'], ['b.weight']]; {part!r} is none."
            )
        parts.append([str(site) for site in listed])
    return parts
