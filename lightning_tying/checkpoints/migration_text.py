"""What a migration did goes in, a text for people comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lightning_tying.checkpoints.migrate_weights import SiteChange
from lightning_tying.checkpoints.origins import Origin

MOST = 10


@dataclass(frozen=True)
class Migration:
    """What a migration did, or would do.

    Args:
        origins: where each parameter comes from, by first name.
        changes: the sites whose values are others than before, the farthest first.
        bytes: of the parameters, before and after.
        with_state: the parameters that have a state in the new optimizer.
        join: the rule by which values were joined.
    """

    origins: Mapping[str, Origin]
    changes: tuple[SiteChange, ...]
    bytes: tuple[int, int]
    with_state: frozenset[str]
    join: str


def migration_text(migration: Migration, *, dry: bool = False) -> str:
    """Lines: sizes, what became of each parameter that is not simply kept, how far values moved."""
    before, after = migration.bytes
    lines = [f"parameters: {before:,} bytes before, {after:,} bytes after"]
    kept = [origin for origin in migration.origins.values() if origin.kind == "kept"]
    if kept:
        lines.append(f"kept as they are: {len(kept):,} parameters")
    others = [origin for origin in migration.origins.values() if origin.kind != "kept"]
    lines += [f"  {_line(origin, migration)}" for origin in others]
    lines += _moved(migration.changes)
    if dry:
        lines.append("dry run: nothing was written")
    return "\n".join(lines)


def _line(origin: Origin, migration: Migration) -> str:
    moments = "moments with it" if origin.name in migration.with_state else "moments begin anew"
    match origin.kind:
        case "copied":
            source = f"a copy of {origin.sources[0]}" if origin.sources else "the value that was computed there"
            return f"{origin.name}: {source}; {moments}"
        case "joined":
            what = {"mean": "the mean", "first": "the first", "init": "what the spec's init says"}[migration.join]
            return f"{origin.name}: {what} of {_some(origin.sites)}; {moments}"
        case "drawn":
            return f"{origin.name}: drawn anew, as the spec says; moments begin anew"
        case _:
            return f"{origin.name}: solved from {_some(origin.sites)}; moments begin anew"


def _moved(changes: tuple[SiteChange, ...]) -> list[str]:
    if not changes:
        return ["every site has the value that it had"]
    shown = [f"  {change.distance:9.2e}  {change.site}" for change in changes[:MOST]]
    more = [f"  and {len(changes) - MOST:,} more"] if len(changes) > MOST else []
    return [f"sites with another value, ‖after − before‖ / ‖before‖: {len(changes):,}", *shown, *more]


def _some(names: tuple[str, ...], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
