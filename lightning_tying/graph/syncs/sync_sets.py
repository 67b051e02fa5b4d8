"""What the entries of `sync` mean for one model, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_tying.spec.nodes import Sync


@dataclass(frozen=True)
class SyncSet:
    """Sites whose values belong together in every round.

    Args:
        sites: their FQNs in the module given to `tie`, in model order; one alone for what concerns no other site.
        members: the member of an average that each site belongs to; empty where there are none.
        sources: for each site what it follows or is copied from: FQNs, or names in a file; empty where there is none.
    """

    sites: tuple[str, ...]
    members: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class SyncPlan:
    """One entry with all its sets.

    Args:
        sync: what was written.
        sets: in model order of their first sites.
        members: all members of an average, in model order; empty where there are none, or where they are processes.
    """

    sync: Sync
    sets: tuple[SyncSet, ...]
    members: tuple[str, ...] = ()
