"""The folder of a sharded checkpoint goes in, the content of a checkpoint in one file comes out, each tensor once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lightning_tying.checkpoints.join_aliases import join_aliases
from lightning_tying.checkpoints.read import OPTIMIZERS, STATE, WRITTEN_BY_LIGHTNING, is_sharded
from lightning_tying.checkpoints.saved_sharing import SavedSharing, read_sharing_entry
from lightning_tying.checkpoints.sharded_folder import EXTRA, read_extra, read_shards
from lightning_tying.errors import ConfigError

_MODEL = (STATE, "model")  # what `ModelParallelStrategy` and what FSDP calls the weights
_OPTIMIZER = re.compile(r"^optimizer_(\d+)$")


def consolidate_checkpoint(folder: Path) -> dict[str, Any]:
    """Put a sharded checkpoint together: weights, optimizers, loops, callbacks, hyperparameters.

    Every other name of a shared tensor holds the same tensor object, so `torch.save` writes its bytes once; optimizer
    states are numbered as one process numbers them.

    Raises:
        ConfigError: the folder is no whole sharded checkpoint.
        ConflictError: two names of one shared tensor have different values.
    """
    if not is_sharded(folder):
        raise ConfigError(f"{folder} is not a folder of shards; there is nothing to consolidate.")
    extra = read_extra(folder / EXTRA)
    if WRITTEN_BY_LIGHTNING not in extra:
        raise ConfigError(f"{folder / EXTRA} was not written by a Trainer, so no run can go on from it.")
    shards = read_shards(folder)
    key = next((name for name in _MODEL if name in shards), None)
    if key is None:
        raise ConfigError(f"{folder} holds no weights: neither {' nor '.join(f'`{name}`' for name in _MODEL)}.")
    state = cast("dict[str, Any]", shards[key])
    saved = read_sharing_entry(extra)
    join_aliases(state, saved)
    numbers = sorted((int(match[1]), name) for name in shards if (match := _OPTIMIZER.match(name)))
    optimizers = number_parameters([cast("Mapping[str, Any]", shards[name]) for _, name in numbers], list(state), saved)
    return {**extra, STATE: state, OPTIMIZERS: optimizers}


def number_parameters(
    optimizers: Sequence[Mapping[str, Any]], names: Sequence[str], saved: SavedSharing | None = None
) -> list[dict[str, Any]]:
    """Optimizers' states by numbers, as `Optimizer.state_dict` gives them, from those by names.

    A parameter's number is its place among all of the module, frozen ones included, which is what strategies that
    shard read; torch itself goes by the position in each group. Where the checkpoint does not name the parameters,
    those that are optimized are counted alone.

    Args:
        optimizers: of each `param_groups`, whose `params` are names in the optimizer's order, and `state` by name.
        names: of the model's state, in model order.
        saved: what the checkpoint says of its sharing.
    """
    saved = saved or SavedSharing()
    groups = [group for each in optimizers for group in cast("list[dict[str, list[str]]]", each["param_groups"])]
    held = [name for group in groups for name in group["params"]]
    places = {name: place for place, name in enumerate(saved.parameters)}
    for owner, others in saved.groups:  # an optimizer may know a shared tensor by any of its names
        known = [places[name] for name in (owner, *others) if name in places]
        places.update(dict.fromkeys((owner, *others), known[0]) if known else {})
    if all(name in places for name in held):
        return [_number(each, places) for each in optimizers]
    order = {name: place for place, name in enumerate(names)}
    ranked = sorted(dict.fromkeys(held), key=lambda name: order.get(name, len(order)))
    numbers = {name: number for number, name in enumerate(ranked)}
    return [_number(each, numbers) for each in optimizers]


def _number(optimizer: Mapping[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    groups = [{**group, "params": [numbers[name] for name in group["params"]]} for group in optimizer["param_groups"]]
    states = cast("Mapping[Any, Any]", optimizer.get("state") or {})
    return {
        "state": {numbers[name]: state for name, state in states.items() if name in numbers},
        "param_groups": groups,
    }
