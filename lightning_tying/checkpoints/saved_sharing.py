"""A checkpoint goes in, what it says of its sharing comes out: the spec, its hash, the groups of names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import sha256
from typing import Any, cast

from lightning_tying.errors import ConfigError
from lightning_tying.spec.dumper import spec_to_data
from lightning_tying.spec.reading import VERSION
from lightning_tying.spec.schema import SharingSpec

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
        parameters: the first names of the module's parameters in model order, frozen ones included; empty where the
            checkpoint does not say.
    """

    spec: str = ""
    version: int | None = None
    hash: str = ""
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    maps: Mapping[str, Any] | None = None
    parameters: tuple[str, ...] = ()


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
    parameters: object = content.get("parameters") or []
    if (
        not isinstance(spec, str)
        or not _are_names(parameters)
        or not _are_groups(groups)
        or not isinstance(content.get("maps") or {}, Mapping)
    ):
        raise ConfigError("The checkpoint's entry `sharing` is damaged: spec, groups or maps are not what was written.")
    return SavedSharing(
        spec,
        version if isinstance(version, int) else None,
        str(content.get("hash") or (hash_spec(spec) if spec else "")),
        tuple((owner, tuple(others)) for owner, others in cast("Mapping[str, Sequence[str]]", groups).items()),
        content.get("maps") or None,
        tuple(cast("list[str]", parameters)),
    )


def check_readable(saved: SavedSharing) -> None:
    """Refuse a spec of a newer version, and one that has changed since it was saved.

    Raises:
        ConfigError: saying which.
    """
    if saved.version is not None and saved.version > VERSION:
        raise ConfigError(
            f"The checkpoint's sharing spec is of version {saved.version}, and this release reads version {VERSION}. "
            "Load it with the release that wrote it, or a newer one."
        )
    if saved.hash != hash_spec(saved.spec):
        raise ConfigError("The checkpoint's sharing spec is damaged: it does not have the hash that was saved with it.")


def hash_spec(text: str) -> str:
    """SHA-256 of the canonical form of a spec, in hexadecimal."""
    return sha256(text.encode("utf-8")).hexdigest()


def check_spec(saved: SavedSharing, given: str, what: str) -> None:
    """Refuse another spec than the checkpoint's; the order of equations, members and policies says nothing.

    Args:
        saved: of the checkpoint.
        given: the canonical text of the other; empty for none.
        what: where that comes from, for the message.

    Raises:
        ConfigError: they differ, with the difference line by line.
    """
    if is_same(saved.spec, given):
        return
    lines = unified_diff(
        (saved.spec or "(none)").splitlines(), (given or "(none)").splitlines(), "checkpoint", what, lineterm="", n=1
    )
    raise ConfigError("\n".join([f"The checkpoint was made with another sharing spec than {what}:", *lines]))


def is_same(one: str, other: str) -> bool:
    """Whether two canonical texts are of one spec, whatever order it is written in."""
    return one == other or _sort_spec(one) == _sort_spec(other)


def _sort_spec(text: str) -> str:
    """A form that is the same for every order in which a spec can be written; a text that is no spec is its own."""
    spec = SharingSpec.draft(text)
    if not text or spec.problems:
        return text
    content: dict[str, Any] = dict(spec_to_data(spec))
    for entry in content["share"]:
        for key in ("tie", "sites", "except"):
            if isinstance(entry.get(key), list):
                entry[key] = sorted(entry[key])
    content["share"] = sorted(json.dumps(entry, sort_keys=True) for entry in content["share"])
    return json.dumps(content, sort_keys=True)


def _are_groups(content: object) -> bool:
    """Whether these are lists of names by name, and no name is there twice."""
    if not isinstance(content, Mapping):
        return False
    entries = cast("Mapping[object, object]", content)
    if not all(isinstance(owner, str) and _are_names(others) for owner, others in entries.items()):
        return False
    names = [*entries, *(name for others in entries.values() for name in cast("list[str]", others))]
    return len(names) == len(set(names))


def _are_names(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(each, str) for each in cast("list[object]", content))
