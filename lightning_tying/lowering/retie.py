"""A tied module in, the same module tied again out: after `_apply` and after a load, by functions that pickle."""

from __future__ import annotations

import warnings
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from lightning_tying.errors import SharingWarning
from lightning_tying.lowering.activation import check_reentrant
from lightning_tying.lowering.adapters import guard_adapters
from lightning_tying.lowering.derive import find_places, find_values
from lightning_tying.lowering.link import link
from lightning_tying.lowering.pending import fill_pending, find_pending
from lightning_tying.lowering.plan import Alias
from lightning_tying.lowering.pretrained import install_pretrained, remove_pretrained
from lightning_tying.lowering.reset import install_resets, remove_resets
from lightning_tying.lowering.state import TiedState, clear_state, read_state, require_state, write_state
from lightning_tying.lowering.state_dicts.checkpoint import fill_aliases
from lightning_tying.lowering.state_dicts.load_report import load_and_report
from lightning_tying.lowering.verify import verify_plan


def install_hooks(module: nn.Module, state: TiedState) -> None:
    """Make `module` a tied root: what it remembers, and what keeps its ties."""
    write_state(module, state)
    # On the instance, and a partial: deepcopy and pickle rebind it to the copy, which they do not with a closure.
    setattr(module, "_apply", partial(apply_and_retie, module))  # noqa: B010  # a private name of torch's
    setattr(module, "load_state_dict", partial(load_and_report, module))  # noqa: B010  # a method, to pyright
    untyped: Any = module  # torch's stubs leave the hooks' types open
    state.handles = (
        untyped.register_load_state_dict_pre_hook(fill_before_load),
        untyped.register_load_state_dict_post_hook(retie_after_load),
    )
    install_resets(state.plan, module)
    install_pretrained(module, retie)
    guard_adapters(module, state.plan)
    check_reentrant(module, state.plan)


def remove_hooks(module: nn.Module) -> None:
    """Make `module` an ordinary module again; parameters stay as they are."""
    for handle in require_state(module).handles:
        handle.remove()
    remove_resets(module)
    remove_pretrained(module)
    clear_state(module)
    for name in ("_apply", "load_state_dict"):
        vars(module).pop(name, None)


def retie(module: nn.Module) -> list[Alias]:
    """Restore the ties of a tied module, with the keepers' values.

    Returns:
        The links that did not hold, slots included.

    Raises:
        TieBroken: a parameter is missing; nothing has changed.
    """
    state = require_state(module)
    slots = find_places(state.plan, module)
    restored = link(state.plan.links, slots)
    fill_pending(module, state, slots)
    return restored


def apply_and_retie(module: nn.Module, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """`nn.Module._apply` (`.to`, `to_empty`, `half`, …) of a tied module: torch's, then the ties again."""
    state = require_state(module)
    slots = find_places(state.plan, module)
    lost = [step for step in state.plan.links if slots[step.site].read() is not slots[step.owner].read()]
    kind: Any = type(module)  # `_apply` is the one place through which torch converts and moves
    kind._apply(module, fn, recurse)
    if recurse:  # without it only a part has changed: the ties are restored when all has
        link(state.plan.links, slots)
        fill_pending(module, state, slots)
        if lost:
            _warn_lost(lost)
    return module


def fill_before_load(module: nn.Module, state_dict: MutableMapping[str, Any], prefix: str, *_arguments: object) -> None:
    """Load pre-hook: add missing aliases; refuse two values for one parameter before anything is loaded.

    Raises:
        ConflictError: with the groups and the sites.
    """
    state = read_state(module)
    if state is not None:
        slots = find_places(state.plan, module)
        keys = {place: slot.key for place, slot in slots.items()}
        # Torch's loaders of sharded modules hand over the module's own parameters for what they do not load.
        kept = {prefix + slot.key for slot in slots.values() if state_dict.get(prefix + slot.key) is slot.peek()}
        fill_aliases(state_dict, state.plan, prefix, keys=keys, on_conflict=state.on_conflict, ignored=kept)


def retie_after_load(module: nn.Module, _incompatible_keys: object) -> None:
    """Load post-hook: `assign=True` gives every site a parameter of its own, on another device perhaps.

    Raises:
        TieBroken: a tie does not hold after the load, and could not be restored.
    """
    state = read_state(module)
    if state is not None:
        slots = find_places(state.plan, module)
        link(state.plan.links, slots)
        for _, _, value in find_values(state.plan.graph, module):
            if value is not None:
                value.prepare()
        state.pending = find_pending(state, slots)
        verify_plan(state.plan, module)


def _warn_lost(lost: list[Alias]) -> None:
    sites = ", ".join(f"{step.site} (tied to {step.owner})" for step in lost[:3])
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    message = f"{sites}{more} had lost the tie before this call; it is restored with the owner's values."
    warnings.warn(message, SharingWarning, stacklevel=4)
