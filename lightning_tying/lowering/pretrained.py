"""Networks of transformers inside a tied module: their own `tie_weights` and `save_pretrained`, made to keep its ties.

Imports nothing of transformers: a network of it can only be here when its module has been imported already.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, MutableSet
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.lowering.derive import find_places, find_values
from lightning_tying.lowering.plan import Alias
from lightning_tying.lowering.resolve import walk_modules, without_wrappers
from lightning_tying.lowering.state import read_state, require_state

SAVES_ONCE = "_tying_saves_once"  # on classes that tie by themselves: their files hold each tensor once


def install_pretrained(root: nn.Module, retie: Callable[[nn.Module], object]) -> None:
    """Let every network of transformers in a tied module tie again after its own ties, and save what it computes with.

    Instance attributes and partials of module-level functions, as for `_apply`: copies and pickles take them along.

    Args:
        root: the tied module.
        retie: restores its ties.
    """
    for _, part in find_pretrained(root):
        again = partial(tie_weights_again, part, root, retie)
        setattr(part, "tie_weights", again)  # noqa: B010  # not an attribute of Module
        setattr(part, "save_pretrained", partial(save_values, part, root))  # noqa: B010


def remove_pretrained(root: nn.Module) -> None:
    """Give the networks their own methods back."""
    for _, part in find_pretrained(root):
        for name in ("tie_weights", "save_pretrained"):
            vars(part).pop(name, None)


def find_pretrained(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every network of transformers in a module, with its FQN; nothing where transformers has not been imported."""
    library = sys.modules.get("transformers.modeling_utils")
    if library is None:
        return
    for path, part in walk_modules(root):
        if isinstance(part, library.PreTrainedModel):
            yield path, part


def tie_weights_again(
    part: nn.Module, root: nn.Module, retie: Callable[[nn.Module], object], *arguments: Any, **options: Any
) -> None:
    """`PreTrainedModel.tie_weights`, then ours; transformers calls it after construction, loading and resizing.

    Our aliases are never declared to transformers, which would adjust biases by the shapes of their weights.
    """
    kind: Any = type(part)
    kind.tie_weights(part, *arguments, **options)
    missing = options.get("missing_keys", arguments[0] if arguments else None)
    if missing is not None:
        _settle_loaded(part, root, cast("MutableSet[str]", missing))
    if read_state(root) is not None:
        retie(root)


def _settle_loaded(part: nn.Module, root: nn.Module, missing: MutableSet[str]) -> None:
    """After a load: a group is there when one of its places is, and that one gives the value."""
    state = read_state(root)
    if state is None:
        return
    slots = find_places(state.plan, root)
    prefix = _prefix_of(part, root)
    loaded = set[ParameterName]()
    for group in state.plan.graph.groups:
        inside = [place for place in group.places if place.startswith(prefix)]
        present = [place for place in inside if place[len(prefix) :] not in missing]
        if not present:
            continue
        loaded.add(group.name)
        if group.keeper not in present:
            slots[group.keeper].write(slots[present[0]].read())
        for place in inside:
            missing.discard(place[len(prefix) :])
    state.pending -= loaded


def save_values(part: nn.Module, root: nn.Module, save_directory: Any, *arguments: Any, **options: Any) -> Any:
    """`PreTrainedModel.save_pretrained` of a tied network.

    The stock class loads the files as they are: every site has its value under its own name. A class of
    `tie_class` saves each tensor once and ties again when it loads.
    """
    if options.get("state_dict") is None and len(arguments) < 2:
        once = bool(getattr(type(part), SAVES_ONCE, False))
        options["state_dict"] = _unique_state(part, root) if once else _stock_state(part, root)
    kind: Any = type(part)
    return kind.save_pretrained(part, save_directory, *arguments, **options)


def _unique_state(part: nn.Module, root: nn.Module) -> dict[str, Tensor]:
    plan = require_state(root).plan
    prefix = _prefix_of(part, root)
    extra = {place for group in plan.graph.groups for place in group.places[1:]}
    return {key: value for key, value in part.state_dict().items() if prefix + without_wrappers(key) not in extra}


def _stock_state(part: nn.Module, root: nn.Module) -> dict[str, Tensor]:
    plan = require_state(root).plan
    prefix = _prefix_of(part, root)
    aliases = {step.site for step in plan.steps if isinstance(step, Alias)}
    state: dict[str, Tensor] = {}
    for key, value in part.state_dict().items():
        site = prefix + without_wrappers(key)
        if "parametrizations." not in site:
            state[key] = value.clone() if site in aliases else value
    with torch.no_grad():
        for derived, slot, value in find_values(plan.graph, root):
            if derived.site.startswith(prefix):
                computed = slot.read() if value is None else value()
                state[derived.site[len(prefix) :]] = computed.detach().clone()
    return state


def _prefix_of(part: nn.Module, root: nn.Module) -> str:
    path = next(path for path, each in find_pretrained(root) if each is part)
    return f"{path}." if path else ""
