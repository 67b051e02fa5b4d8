"""The content of a checkpoint goes in; nothing, or a refusal of what Lightning does not write, comes out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lightning_tying.errors import ConfigError

STATE = "state_dict"
OPTIMIZERS = "optimizer_states"
_LISTS = (OPTIMIZERS, "lr_schedulers")
_MAPPINGS = (STATE, "callbacks", "hyper_parameters", "current_model_state")


def check_form(content: Mapping[Any, Any], path: Path) -> None:
    """Look at the entries that are read here; a damaged or foreign file may hold anything under these names.

    Args:
        content: of a checkpoint, or of the part of a sharded one that is no tensor.
        path: where it is, for the message.

    Raises:
        ConfigError: naming the entry.
    """
    for key in _MAPPINGS:
        if not _is_named(content.get(key) or {}):
            _refuse(path, key, "a mapping with texts as keys")
    for key in _LISTS:
        entries: object = content.get(key) or []
        if not isinstance(entries, list) or not all(isinstance(each, Mapping) for each in cast("list[Any]", entries)):
            _refuse(path, key, "a list of mappings")
    for optimizer in cast("list[Mapping[str, Any]]", content.get(OPTIMIZERS) or []):
        if not _is_optimizer(optimizer):
            _refuse(path, OPTIMIZERS, "what `Optimizer.state_dict` gives")
    for key in ("epoch", "global_step"):
        if not isinstance(content.get(key, 0), int):
            _refuse(path, key, "a number")


def _is_optimizer(content: Mapping[str, Any]) -> bool:
    groups, states = content.get("param_groups"), content.get("state")
    if not isinstance(groups, list) or not isinstance(states, Mapping):
        return False
    if not all(isinstance(state, Mapping) for state in cast("Mapping[Any, Any]", states).values()):
        return False
    return all(_is_group(group) for group in cast("list[Any]", groups))


def _is_group(content: object) -> bool:
    if not _is_named(content):
        return False
    group = cast("Mapping[str, Any]", content)
    rates = [group[key] for key in ("lr", "initial_lr", "weight_decay") if group.get(key) is not None]
    numbers = all(isinstance(rate, float | int) or hasattr(rate, "item") for rate in rates)  # lr may be a tensor
    return isinstance(group.get("params"), list) and numbers


def _is_named(content: object) -> bool:
    return isinstance(content, Mapping) and all(
        isinstance(key, str) for key in cast("Mapping[object, object]", content)
    )


def _refuse(path: Path, key: str, wanted: str) -> None:
    raise ConfigError(f"{path} is damaged, or was not written by Lightning: its `{key}` is not {wanted}.")
