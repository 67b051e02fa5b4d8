"""A state dict and a checkpoint's groups of names go in; all names of a shared tensor hold one object, or a refusal."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from torch import Tensor

from lightning_tying.checkpoints.saved_sharing import SavedSharing
from lightning_tying.errors import ConflictError
from lightning_tying.lowering.state_dicts.conflicts import differ


def join_aliases(state: MutableMapping[str, Any], saved: SavedSharing) -> None:
    """Let all names of a shared tensor hold one object, in place; names that are missing are added.

    Raises:
        ConflictError: two of them have different values.
    """
    for owner, others in saved.groups:
        present = [name for name in (owner, *others) if name in state]
        for name in present[1:]:
            if not _equal(state[present[0]], state[name]):
                raise ConflictError(f"{present[0]} and {name} are one shared tensor, and their values differ here.")
        if present:
            state.update(dict.fromkeys((owner, *others), state[present[0]]))


def _equal(one: object, other: object) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return one is other
    return one.shape == other.shape and one.dtype == other.dtype and not differ(one, other)
