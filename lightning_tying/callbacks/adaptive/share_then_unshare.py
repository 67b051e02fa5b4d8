"""A moment of the run in; every use of what was shared until then gets a parameter of its own, out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from typing_extensions import override

from lightning_tying.callbacks.adaptive.policy import Policy, require_names
from lightning_tying.callbacks.adaptive.view import GroupView, Proposal, View, choose
from lightning_tying.errors import ConfigError


class ShareThenUnshare(Policy):
    """Trains shared, then apart: few parameters to begin with, the freedom of a large model after.

    Yang et al. 2021 (arXiv:2110.03848, Speeding up Deep Model Training by Sharing Weights and Then Unsharing).

    Args:
        at: when: an optimizer step, or a part of the whole run's steps between 0 and 1. Under DDP at the first epoch's
            start from then on.
        groups: names in which `*` is any text, of the groups to part; None for all that are shared.

    Raises:
        ConfigError: an argument is wrong.
    """

    every_n_steps = 1
    repeats = False

    def __init__(self, at: int | float, groups: str | list[str] | None = None) -> None:
        steps = type(at) is int and at >= 1
        part = type(at) is float and 0 < at < 1
        if not steps and not part:
            raise ConfigError(
                "ShareThenUnshare: at is an optimizer step, 1 or more, or a part of the run between 0 and 1, "
                f"not {at!r}."
            )
        self.at = at
        self.groups = require_names("ShareThenUnshare", groups)

    @property
    @override
    def label(self) -> str:
        return f"ShareThenUnshare(at={self.at})"

    @override
    def check(self, view: View) -> None:
        when = find_moment(self.at, view.total_steps)
        if when >= view.total_steps:
            raise ConfigError(
                f"ShareThenUnshare: at={self.at} is after the end of the run, which has {view.total_steps:.0f} "
                "optimizer steps. Choose an earlier step, or a part of the run: at=0.5."
            )
        if view.history:
            return  # a run that goes on may have been unshared already
        found = choose(view.groups, self.groups, "ShareThenUnshare")
        if not any(len(each.sites) > 1 for each in found):
            raise ConfigError(
                "ShareThenUnshare: nothing is shared that could be parted. Give the model a sharing spec."
            )

    @override
    def is_due(self, step: int, total_steps: float, asked: int) -> bool:
        when = find_moment(self.at, total_steps)
        return step >= when > asked

    @override
    def propose(self, view: View) -> Sequence[Proposal]:
        return unshare(choose(view.groups, self.groups, "ShareThenUnshare"), view.step, view.total_steps)


def find_moment(at: int | float, total_steps: float) -> int:
    """The optimizer step that `at` means.

    Args:
        at: a step, or a part of the run.
        total_steps: of the run.

    Raises:
        ConfigError: a part of a run without an end.
    """
    if isinstance(at, int):
        return at
    if not math.isfinite(total_steps):
        raise ConfigError(
            f"ShareThenUnshare: at={at} is a part of the run, and this one has no end. Give the trainer max_steps or "
            "max_epochs, or write the optimizer step."
        )
    return max(1, math.ceil(at * total_steps))


def unshare(groups: Sequence[GroupView], step: int, total_steps: float) -> list[Proposal]:
    """A split of each group into its sites.

    Args:
        groups: to part; those of one site are left as they are.
        step: of the optimizer.
        total_steps: of the run.
    """
    found: list[Proposal] = []
    for each in groups:
        if len(each.sites) > 1:
            reason = f"the shared part of the run ends; each of its {len(each.sites)} sites trains alone from here"
            evidence = {"step": step, "total_steps": total_steps, "sites": len(each.sites)}
            found.append(Proposal("split", (each,), reason, evidence, tuple((site,) for site in each.sites)))
    return found
