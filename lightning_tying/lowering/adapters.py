"""A tied module with adapters of peft on it in; merging them into what several sites read is refused from then on."""

from __future__ import annotations

import sys
from functools import partial
from typing import NoReturn

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import adapted_layer, find_slots, walk_modules


def guard_adapters(root: nn.Module, plan: Plan) -> None:
    """Let every adapter over a tied or derived site refuse to be merged.

    peft adds each adapter's delta to the weight of its own layer: the one shared weight would get them all, and what
    is written into a derived weight is lost, both without a word. peft asks nobody first, so each of its layers gets
    a `merge` of its own; `verify` calls this, since adapters mostly come after the tie.

    Args:
        root: the tied module.
        plan: that it is tied by.
    """
    if "peft" not in sys.modules:  # then nothing can be adapted yet; a walk over all modules is a tenth of a tie
        return
    adapters = [(path, part, base) for path, part in walk_modules(root) if (base := adapted_layer(part)) is not None]
    if not adapters:
        return
    shared = {site for group in plan.graph.groups if len(group.uses) > 1 for site in group.sites}
    shared |= {derived.site for derived in plan.graph.derived}
    holders = {id(slot.module): site for site, slot in find_slots(root, shared).items()}
    for path, part, base in adapters:
        if id(base) in holders:
            setattr(part, "merge", partial(refuse_merge, path, holders[id(base)]))  # noqa: B010  # peft's, not Module's


def refuse_merge(path: str, site: str, *_arguments: object, **_options: object) -> NoReturn:
    """What `merge` of a guarded adapter does; a function that pickles."""
    raise ApplyError(
        f"The adapter at {path} cannot be merged: {site} is tied, so its delta would reach every site that reads the "
        "shared parameter, or none. Keep the adapters apart, or materialize and untie the base model first."
    )
