"""Tensors by name and their other names go in, a safetensors file with each tensor once comes out; and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from lightning_tying.checkpoints.join_aliases import join_aliases
from lightning_tying.checkpoints.read import STATE, read_checkpoint
from lightning_tying.checkpoints.saved_sharing import SavedSharing, read_sharing_entry
from lightning_tying.checkpoints.write import write_file
from lightning_tying.errors import ConfigError

SHARING_KEY = "lightning_tying"  # the metadata key with spec, hash and groups as JSON
_INSIDE = "network."  # where the tasks keep the network that the spec's patterns are relative to


def export_safetensors(checkpoint: Path, target: Path, *, force: bool = False) -> int:
    """Write a checkpoint's weights as safetensors: every shared tensor once, under its owner's name.

    Names are the network's: where all begin with `network.`, that is left out. The metadata holds `{alias: owner}`
    for every name left out, which `safetensors.torch.load_model` and ours read, and the spec.

    Returns:
        The bytes of the tensors that were written.

    Raises:
        ConfigError: the checkpoint cannot be read, safetensors is missing, or the target cannot be written.
        ConflictError: two names of one shared tensor have different values.
    """
    content = read_checkpoint(checkpoint)
    saved = read_sharing_entry(content)
    state = {name: value for name, value in content[STATE].items() if isinstance(value, Tensor)}
    prefix = _INSIDE if state and all(name.startswith(_INSIDE) for name in state) else ""
    tensors, aliases = split_aliases(state, saved)
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    aliases = {alias.removeprefix(prefix): owner.removeprefix(prefix) for alias, owner in aliases.items()}
    write_safetensors(tensors, aliases, target, saved, force=force)
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def split_aliases(state: Mapping[str, Tensor], saved: SavedSharing) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Each tensor under one name, and the name that stands for every other one.

    Groups that the checkpoint names come first; then what shares memory, as ties of the module's own code do.

    Raises:
        ConfigError: a tensor is of a kind that safetensors does not write.
        ConflictError: names of one group have different values, so that leaving one out would lose it.
    """
    state = dict(state)
    join_aliases(state, saved)
    owners = {other: owner for owner, others in saved.groups for other in others if owner in state}
    by_place: dict[object, str] = {}
    tensors: dict[str, Tensor] = {}
    aliases = dict(owners)
    for name, tensor in state.items():
        if name in owners:
            continue
        if tensor.layout is not torch.strided:
            raise ConfigError(f"{name} is a tensor of the kind {tensor.layout}, which safetensors does not write.")
        place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype) if tensor.numel() else name
        first = by_place.setdefault(place, name)
        if first == name:
            tensors[name] = tensor
        else:
            aliases[name] = first
    return tensors, aliases


def write_safetensors(
    tensors: Mapping[str, Tensor],
    aliases: Mapping[str, str],
    target: Path,
    saved: SavedSharing | None = None,
    *,
    force: bool = False,
) -> None:
    """Write tensors with alias metadata.

    Raises:
        ConfigError: safetensors is missing, or the target is there already or cannot be written.
    """
    library = import_safetensors()
    metadata: dict[str, str] = {**aliases, "format": "pt"}
    if saved is not None and saved.spec:
        metadata[SHARING_KEY] = json.dumps({"spec": saved.spec, "hash": saved.hash})
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}

    def write(path: Path) -> None:
        try:
            library.save_file(plain, str(path), metadata=metadata)
        except import_module("safetensors").SafetensorError as error:  # the disk is full
            raise OSError(str(error)) from error

    write_file(target, write, force=force)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file under all their names: an alias holds the same object as its owner.

    Raises:
        ConfigError: safetensors is missing, or the file is missing, cut off or another one.
    """
    import_safetensors()
    opened: Any = import_module("safetensors").safe_open
    if not path.is_file():
        raise ConfigError(f"The file {path} does not exist.")
    try:
        with opened(str(path), framework="pt") as file:
            tensors = {name: cast(Tensor, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118  # not a dict
            metadata: Mapping[str, str] = file.metadata() or {}
    except (OSError, ValueError, RuntimeError, import_module("safetensors").SafetensorError) as error:
        raise ConfigError(f"{path} is no safetensors file, or was cut off: {error}.") from error
    fill_from_metadata(tensors, metadata)
    return tensors


def fill_from_metadata(tensors: MutableMapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Add the names that `{alias: owner}` metadata stands for, in place."""
    for alias, owner in metadata.items():
        if owner in tensors and alias not in tensors:
            tensors[alias] = tensors[owner]


def import_safetensors() -> Any:
    """The torch part of safetensors.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module("safetensors.torch")
    except ModuleNotFoundError as error:
        raise ConfigError("safetensors is not installed. Install it with pip install 'lightning-tying[hf]'.") from error
