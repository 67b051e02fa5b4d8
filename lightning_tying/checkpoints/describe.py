"""The path of a checkpoint goes in; what it holds comes out: sharing groups, sizes, spec, progress of the run."""

# pyright: reportUnknownMemberType=false
# torch's distributed checkpoints are typed in part only.

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from lightning_tying.checkpoints.read import OPTIMIZERS, STATE, WRITTEN_BY_LIGHTNING, is_sharded, read_header
from lightning_tying.checkpoints.saved_sharing import SavedSharing, read_sharing_entry
from lightning_tying.checkpoints.sharded_folder import read_metadata

_FOLDED = re.compile(r"^optimizer_(\d+)\.state\.(.+)\.[^.]+$")


@dataclass(frozen=True)
class SavedTensor:
    """A tensor of the model's state as a checkpoint holds it.

    Args:
        name: its first name.
        aliases: its other names.
        shape: its dimensions.
        dtype: torch's name without `torch.`.
        bytes: of its values.
        copies: how often the values are stored.
    """

    name: str
    aliases: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    copies: int = 1


@dataclass(frozen=True)
class CheckpointReport:
    """What a checkpoint holds.

    Args:
        path: where it is.
        kind: one file, or a folder of shards.
        file_bytes: on the disk.
        unique_bytes: of the model's tensors, each counted once.
        gross_bytes: of the same under all their names, as the model without sharing would have them.
        spec: the canonical text of the sharing spec, empty for none; `spec_hash` is its SHA-256.
        tensors: of the model's state, in the order of the file.
        optimizer_tensors: how many parameters each optimizer has a state of.
        optimizer_bytes: of these states.
        callbacks: the names under which callbacks saved a state.
        keys: all other entries of the checkpoint.
    """

    path: str
    kind: str
    file_bytes: int
    unique_bytes: int
    gross_bytes: int
    lightning: str
    epoch: int | None
    global_step: int | None
    spec: str
    spec_hash: str
    tensors: tuple[SavedTensor, ...]
    optimizer_tensors: tuple[int, ...]
    optimizer_bytes: int
    callbacks: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def groups(self) -> tuple[SavedTensor, ...]:
        """The tensors with more than one name."""
        return tuple(tensor for tensor in self.tensors if tensor.aliases)

    def to_dict(self) -> dict[str, Any]:
        """As data for JSON."""
        return {**asdict(self), "groups": [asdict(group) for group in self.groups]}


def describe_checkpoint(path: Path) -> CheckpointReport:
    """Look into a checkpoint; its tensors are not read.

    Raises:
        ConfigError: it cannot be read, or is no checkpoint.
    """
    header = read_header(path)
    saved = read_sharing_entry(header)
    if is_sharded(path):
        tensors, counts, optimizer_bytes = _describe_shards(path, saved)
        files = [file for file in path.rglob("*") if file.is_file()]
    else:
        tensors = _describe_state(header[STATE], saved)
        counts, optimizer_bytes = _count_states(header.get(OPTIMIZERS) or [])
        files = [path]
    known = {STATE, OPTIMIZERS, "callbacks", "epoch", "global_step", WRITTEN_BY_LIGHTNING}
    return CheckpointReport(
        path=str(path),
        kind="folder of shards" if is_sharded(path) else "file",
        file_bytes=sum(file.stat().st_size for file in files),
        unique_bytes=sum(tensor.bytes for tensor in tensors),
        gross_bytes=sum(tensor.bytes * (1 + len(tensor.aliases)) for tensor in tensors),
        lightning=str(header.get(WRITTEN_BY_LIGHTNING, "unknown")),
        epoch=header.get("epoch"),
        global_step=header.get("global_step"),
        spec=saved.spec,
        spec_hash=saved.hash,
        tensors=tensors,
        optimizer_tensors=counts,
        optimizer_bytes=optimizer_bytes,
        callbacks=tuple(cast("Mapping[str, Any]", header.get("callbacks") or {})),
        keys=tuple(sorted(str(key) for key in header if key not in known)),
    )


def _describe_state(state: Mapping[str, Any], saved: SavedSharing) -> tuple[SavedTensor, ...]:
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    places = {name: _place(tensor) for name, tensor in tensors.items()}
    entries = {name: (tuple(t.shape), t.dtype) for name, t in tensors.items()}
    return _gather(entries, saved, places)


def _describe_shards(folder: Path, saved: SavedSharing) -> tuple[tuple[SavedTensor, ...], tuple[int, ...], int]:
    found = {
        str(key): value
        for key, value in read_metadata(folder).state_dict_metadata.items()
        if isinstance(value, TensorStorageMetadata)
    }
    model = next((f"{word}." for word in (STATE, "model") if any(key.startswith(f"{word}.") for key in found)), "")
    entries = {
        key.removeprefix(model): (tuple(value.size), value.properties.dtype)
        for key, value in found.items()
        if key.startswith(model) and not key.startswith("optimizer_")
    }
    states: dict[int, set[str]] = {}
    size = 0
    for key, value in found.items():
        match = _FOLDED.match(key)
        if match:
            states.setdefault(int(match[1]), set()).add(match[2])
            size += prod(value.size) * value.properties.dtype.itemsize
    counts = tuple(len(states[number]) for number in sorted(states))
    return _gather(entries, saved, {name: name for name in entries}), counts, size


def _gather(
    entries: Mapping[str, tuple[tuple[int, ...], torch.dtype]], saved: SavedSharing, places: Mapping[str, object]
) -> tuple[SavedTensor, ...]:
    """One entry for each tensor: by the groups that the checkpoint names, and by memory for what it does not."""
    firsts: dict[str, str] = {}
    for owner, others in saved.groups:
        present = [name for name in (owner, *others) if name in entries]
        firsts.update(dict.fromkeys(present, present[0]))
    by_place: dict[object, str] = {}
    members: dict[str, list[str]] = {}
    for name in entries:
        first = firsts.get(name) or by_place.setdefault(places[name], name)
        members.setdefault(first, []).append(name)
    absent = dict(saved.groups)
    made: list[SavedTensor] = []
    for first, names in members.items():
        shape, dtype = entries[first]
        others = dict.fromkeys(name for name in (*names, *absent.get(first, ())) if name != first)
        copies = len({places[name] for name in names})
        size = prod(shape) * dtype.itemsize
        made.append(SavedTensor(first, tuple(others), shape, str(dtype).removeprefix("torch."), size, copies))
    return tuple(made)


def _place(tensor: Tensor) -> object:
    if tensor.numel() == 0 or tensor.layout is not torch.strided:
        return object()
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _count_states(optimizers: Iterable[Mapping[str, Any]]) -> tuple[tuple[int, ...], int]:
    counts: list[int] = []
    size = 0
    for optimizer in optimizers:
        states = cast("Mapping[Any, Mapping[str, Any]]", optimizer.get("state") or {})
        counts.append(len(states))
        tensors = [value for state in states.values() for value in state.values() if isinstance(value, Tensor)]
        size += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return tuple(counts), size
