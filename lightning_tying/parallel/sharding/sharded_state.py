"""A sharded tied module in; its state dict names each shared tensor once from then on, and a full one all names again.

A distributed checkpoint writes a tensor as often as the state dict names it, and asks for every name when it loads.
So the names that are aliases are left out of what a sharded module says of itself, when it is saved and when it is
loaded; the load hook that every tied module has adds them again. A file with whole tensors needs all names.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, cast

from torch import Tensor, nn

from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.resolve import find_slots
from lightning_tying.lowering.state import find_tied, read_state
from lightning_tying.lowering.state_dicts.checkpoint import fill_aliases, index_keys


def install_sharded_state(root: nn.Module) -> None:
    """Let a module that has been sharded name each shared tensor once in its state dict; twice is once.

    `load_state_dict` takes both forms: the names that are missing are filled.

    Args:
        root: a tied module, or one with tied modules inside, after `fully_shard` or `parallelize_module`.
    """
    for _, module, _ in find_tied(root):
        hooks = cast("MutableMapping[int, object]", module._state_dict_hooks)  # pyright: ignore  # torch has no reader
        if leave_out_aliases not in hooks.values():
            untyped: Any = module  # torch's stub leaves the hook's type open
            untyped.register_state_dict_post_hook(leave_out_aliases)


def leave_out_aliases(
    module: nn.Module, state_dict: MutableMapping[str, Any], prefix: str, _local_metadata: object
) -> None:
    """State dict hook of a tied root: while it is sharded, only the keepers' names stay; a function that pickles."""
    state = read_state(module)
    names = index_keys(state_dict, prefix)
    if state is None or not any(is_sharded(state_dict[key]) for key in names.values()):
        return
    slots = find_slots(module, state.plan.places)
    for step in state.plan.links:
        if step.site in names and step.owner in names and slots[step.site].peek() is slots[step.owner].peek():
            del state_dict[names[step.site]]  # where the tie is lost, its value would be


def add_aliases(root: nn.Module, state_dict: MutableMapping[str, Any]) -> None:
    """Name each shared tensor under all its names, the same object for each, where a state dict holds whole tensors.

    Args:
        root: a tied module, or one with tied modules inside: a LightningModule.
        state_dict: by keys of `root`, changed in place; one of shards is left as it is.

    Raises:
        ConflictError: members of one group are there with different values.
    """
    if any(is_sharded(value) for value in state_dict.values() if isinstance(value, Tensor)):
        return
    for path, _, state in find_tied(root):
        fill_aliases(state_dict, state.plan, f"{path}." if path else "")
