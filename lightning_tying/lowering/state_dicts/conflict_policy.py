"""A tied module and a policy in; loads of the module follow it: what becomes of two values for one parameter."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from lightning_tying.lowering.holders import refuse_conflict
from lightning_tying.lowering.state import read_state, require_state
from lightning_tying.lowering.state_dicts.checkpoint import find_parting, index_keys
from lightning_tying.lowering.state_dicts.conflicts import ConflictPolicy
from lightning_tying.lowering.undo import untie_module


def set_policy(module: nn.Module, policy: ConflictPolicy) -> None:
    """Remember the policy with the tied root; it goes along with copies and pickles.

    Raises:
        ApplyError: the module is not tied.
    """
    state = require_state(module)
    state.on_conflict = policy
    untyped: Any = module  # torch's stubs leave the hooks' types open, and it has no reader for them
    hooks = cast("OrderedDict[int, object]", untyped._load_state_dict_pre_hooks)
    known = any(getattr(hook, "hook", None) is part_before_load for hook in hooks.values())
    if policy == "untie" and not known:
        handle = untyped.register_load_state_dict_pre_hook(part_before_load)
        hooks.move_to_end(handle.id, last=False)  # before the hook that fills names by the plan
        state.handles = (*state.handles, handle)


def part_before_load(module: nn.Module, state_dict: Mapping[str, Any], prefix: str, *_arguments: object) -> None:
    """Load pre-hook: give the sites whose values differ parameters of their own; a function that pickles.

    Raises:
        ConflictError: an optimizer or a strategy holds the parameters; nothing has changed.
    """
    state = read_state(module)
    if state is None or state.on_conflict != "untie":
        return
    sites = find_parting(state_dict, index_keys(state_dict, prefix), state)
    if not sites:
        return
    refuse_conflict(module)
    # Torch is going through the hooks now, so none may be removed; without a state they do nothing.
    handles, state.handles = state.handles, ()
    untie_module(module, sites)
    state.handles = handles
