"""Weights of an untied network: a checkpoint's or state dict's path goes in, a loaded network comes out."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from lightning_tying.checkpoints.safetensors_file import read_safetensors
from lightning_tying.errors import ConfigError


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a Lightning checkpoint or a plain state dict into a network that is not tied yet.

    Args:
        network: gets the weights, in place.
        path: a `.ckpt`, `.pt` or `.safetensors` file; a prefix `network.` of its keys is left out.

    Raises:
        ConfigError: the file cannot be read, or a tensor is missing, unexpected or of another shape.
    """
    weights = _network_part(_read(path), network)
    wanted = network.state_dict()
    missing = sorted(wanted.keys() - weights.keys())
    unexpected = sorted(weights.keys() - wanted.keys())
    wrong = [
        f"{name} is {list(weights[name].shape)} in the file and {list(tensor.shape)} in the network"
        for name, tensor in wanted.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    problems = [
        *([f"missing: {', '.join(missing[:5])}"] if missing else []),
        *([f"unexpected: {', '.join(unexpected[:5])}"] if unexpected else []),
        *wrong[:5],
    ]
    if problems:
        raise ConfigError(f"The weights of {path} do not fit the network: {'; '.join(problems)}.")
    network.load_state_dict(weights)


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise ConfigError(f"The weights {path} do not exist. `init_from` names a .ckpt, .pt or .safetensors file.")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(f"{path} cannot be read as a checkpoint or a state dict of plain values.") from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{path} cannot be read as a checkpoint or a state dict: {reason}") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} holds an object of type {type(content).__name__}, not a checkpoint or a state dict.")
    return cast("Mapping[str, Any]", content)


def _network_part(content: Mapping[str, Any], network: nn.Module) -> dict[str, Tensor]:
    state = cast("Mapping[str, Any]", content.get("state_dict", content))
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    if "network." in "".join(tensors) and not any(name.startswith("network.") for name in network.state_dict()):
        return {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    return tensors
