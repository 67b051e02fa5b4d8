"""A network with one of transformers inside goes in, a folder that `from_pretrained` reads comes out; and back."""

# pyright: reportUnknownMemberType=false
# transformers is typed in part only.

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from lightning_tying.checkpoints.read import read_plain
from lightning_tying.checkpoints.safetensors_file import read_safetensors
from lightning_tying.checkpoints.write import write_folder
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.members import find_members
from lightning_tying.lowering.pretrained import find_pretrained
from lightning_tying.lowering.resolve import without_wrappers
from lightning_tying.lowering.state import find_tied
from lightning_tying.lowering.undo import read_value
from lightning_tying.spec.dumper import dump_spec

SHARING_FILE = "sharing.yaml"
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_BETWEEN = ".parametrizations."
_FILES = ("model.safetensors", "pytorch_model.bin")


def export_pretrained(network: nn.Module, target: Path, *, once: bool = False, force: bool = False) -> int:
    """Write a folder of safetensors that `from_pretrained` reads.

    The stock class knows the ties of its own code, which are written once, and no others: it gets every other site's
    value under its own name. With `once` every tensor is written once; `tie_class(Class, FOLDER/sharing.yaml)` reads
    that, and the stock class would leave the other sites at random values.

    Args:
        network: a network of transformers, or one with it inside, tied or not.
        target: the folder.
        once: whether to write each tensor once, with `sharing.yaml` beside.
        force: whether to replace it.

    Returns:
        The bytes of the tensors that were written.

    Raises:
        ConfigError: there is no network of transformers, or the target cannot be written.
    """
    path, part = find_only_pretrained(network)
    spec = _spec_inside(network, path) if once else None
    state = _unique_state(part) if once else _stock_state(network, path, part)
    stock: Any = type(part)
    size = sum({tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in state.values()}.values())

    def write(folder: Path) -> None:
        stock.save_pretrained(part, folder, state_dict=state)
        if spec is not None:
            (folder / SHARING_FILE).write_text(spec, encoding="utf-8")

    write_folder(target, write, force=force)  # empties the state
    return size


def read_pretrained(folder: Path) -> dict[str, Tensor]:
    """The weights of a folder that `save_pretrained` wrote, in one file or several.

    Raises:
        ConfigError: there are none, or a file is cut off.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder. Name the folder that save_pretrained wrote.")
    for index in _INDEXES:
        if (folder / index).is_file():
            parts = sorted(set(_read_index(folder / index).values()))
            return {name: tensor for part in parts for name, tensor in _read_weights(folder / part).items()}
    file = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if file is None:
        raise ConfigError(f"{folder} holds no weights: neither {' nor '.join((*_FILES, *_INDEXES))}.")
    return _read_weights(file)


def find_only_pretrained(network: nn.Module) -> tuple[str, nn.Module]:
    """The one network of transformers in a module, with its FQN.

    Raises:
        ConfigError: there is none, or there are several.
    """
    found = [(path, part) for path, part in find_pretrained(network)]
    outer = [(path, part) for path, part in found if not any(_is_inside(path, other) for other, _ in found)]
    if len(outer) != 1:
        raise ConfigError(
            f"`hf` writes one network of transformers, and there are {len(outer)} in this {type(network).__name__}. "
            "For other networks there is --format safetensors."
        )
    return outer[0]


def _stock_state(network: nn.Module, path: str, part: nn.Module) -> dict[str, Tensor]:
    """The values by the stock class's names; what it does not tie itself has memory of its own."""
    prefix = f"{path}." if path else ""
    owned: Mapping[str, str] = getattr(part, "all_tied_weights_keys", None) or {}
    state: dict[str, Tensor] = {}
    seen: set[int] = set()
    with torch.no_grad():
        for fqn, member in find_members(network).items():
            name = fqn[len(prefix) :]
            if not fqn.startswith(prefix):
                continue
            if member.value is not None:
                state[name] = read_value(member.value).clone()
                continue
            parameter = member.parameters[0].detach()
            again = id(member.parameters[0]) in seen and name not in owned
            seen.add(id(member.parameters[0]))
            state[name] = parameter.clone() if again else parameter
    for key, value in part.state_dict().items():
        name = without_wrappers(key)
        if name not in state and _BETWEEN not in f".{name}":
            state[name] = value  # a buffer
    return state


def _unique_state(part: nn.Module) -> dict[str, Tensor]:
    """The state as it is, slots of computed sites included, each parameter under its first name."""
    state: dict[str, Tensor] = {}
    seen: set[int] = set()
    for key, value in part.state_dict(keep_vars=True).items():
        if id(value) not in seen:
            seen.add(id(value))
            state[without_wrappers(key)] = cast(Tensor, value).detach()
    return state


def _spec_inside(network: nn.Module, path: str) -> str | None:
    """The spec by which a network is tied, for the network of transformers inside it alone."""
    found = next((state.plan.spec for _, _, state in find_tied(network)), None)
    if found is None or not path:
        return None if found is None else dump_spec(found)
    if found.root != path and not found.root.startswith(f"{path}."):
        raise ConfigError(
            f"With --once the spec has to be about the network of transformers: write `root: {path}` in it, and "
            "patterns relative to that."
        )
    return dump_spec(replace(found, root=found.root[len(path) + 1 :]))


def _read_index(file: Path) -> Mapping[str, str]:
    try:
        return cast("Mapping[str, str]", json.loads(file.read_text(encoding="utf-8"))["weight_map"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is no index of weights ({error}).") from error


def _read_weights(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        return read_safetensors(file)
    content = read_plain(file)
    if not isinstance(content, Mapping):
        raise ConfigError(f"{file} holds no weights by name.")
    named = cast("Mapping[str, Any]", content)
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}


def _is_inside(path: str, other: str) -> bool:
    return path != other and (not other or path.startswith(f"{other}."))
