"""A checkpoint goes in, what it says of its sharing comes out: the spec, its hash, the groups of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import sha256
from typing import Any, cast

from lightning_tying.errors import ConfigError

SHARING = "sharing"


@dataclass(frozen=True)
class SavedSharing:
    """What a checkpoint holds under `sharing`.

    Args:
        spec: the canonical text of the spec; empty where the module has none.
        version: of the spec's language; None where the checkpoint does not say.
        hash: SHA-256 of the canonical text, as the checkpoint says it or as it is reckoned here.
        groups: by the name under which a tensor is saved, its other names.
        maps: the content of map files, as it is saved.
    """

    spec: str = ""
    version: int | None = None
    hash: str = ""
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    maps: Mapping[str, Any] | None = None


def read_sharing_entry(checkpoint: Mapping[str, Any]) -> SavedSharing:
    """Read the entry; a checkpoint without one has no sharing.

    Raises:
        ConfigError: the entry is damaged.
    """
    entry: object = checkpoint.get(SHARING) or {}
    if not isinstance(entry, Mapping):
        raise ConfigError("The checkpoint's entry `sharing` is damaged: it is no mapping.")
    content = cast("Mapping[str, Any]", entry)
    spec, version = content.get("spec", ""), content.get("version")
    groups: object = content.get("groups") or {}
    if not isinstance(spec, str) or not isinstance(groups, Mapping):
        raise ConfigError("The checkpoint's entry `sharing` is damaged: spec or groups are not what was written.")
    return SavedSharing(
        spec,
        version if isinstance(version, int) else None,
        str(content.get("hash") or (hash_spec(spec) if spec else "")),
        tuple((owner, tuple(others)) for owner, others in cast("Mapping[str, Sequence[str]]", groups).items()),
        content.get("maps") or None,
    )


def hash_spec(text: str) -> str:
    """SHA-256 of the canonical form of a spec, in hexadecimal."""
    return sha256(text.encode("utf-8")).hexdigest()


def check_spec(saved: SavedSharing, given: str, what: str) -> None:
    """Refuse another spec than the checkpoint's.

    Args:
        saved: of the checkpoint.
        given: the canonical text of the other; empty for none.
        what: where that comes from, for the message.

    Raises:
        ConfigError: they differ, with the difference line by line.
    """
    if saved.spec == given:
        return
    lines = unified_diff(
        (saved.spec or "(none)").splitlines(), (given or "(none)").splitlines(), "checkpoint", what, lineterm="", n=1
    )
    raise ConfigError("\n".join([f"The checkpoint was made with another sharing spec than {what}:", *lines]))
