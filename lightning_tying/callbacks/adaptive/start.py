"""A run that begins and its policies in; nothing out, or an error that says why they could never do their work."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from lightning.pytorch import LightningModule, Trainer

from lightning_tying.callbacks.adaptive.budget import Budget
from lightning_tying.callbacks.adaptive.policy import Policy
from lightning_tying.callbacks.adaptive.share_then_unshare import ShareThenUnshare
from lightning_tying.callbacks.adaptive.trial import count_added
from lightning_tying.callbacks.adaptive.view import GroupView, View
from lightning_tying.errors import ApplyError, ConfigError
from lightning_tying.lowering.edits.split import prepare_split
from lightning_tying.tasks.watch.run_facts import find_kind

_DIVIDED = {"fsdp2": "ModelParallelStrategy", "fsdp1": "FSDP", "deepspeed": "DeepSpeed", "pipeline": "pipelining"}


def check_policies(policies: object) -> list[Policy]:
    """The policies as a list.

    Raises:
        ConfigError: there is none, or something else; two have one name in the log; one could edit at every step.
    """
    found = cast("list[object]", policies if isinstance(policies, list | tuple) else [policies])
    listed = [each for each in found if isinstance(each, Policy)]
    if not listed or len(listed) < len(found):
        raise ConfigError(
            "AdaptiveSharing: policies is a policy or a list of them (ShareThenUnshare, SplitOnConflict, "
            f"JoinOnRedundancy, Budget, or a class of your own), not {policies!r}."
        )
    labels = [each.label for each in listed]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise ConfigError(f"AdaptiveSharing: two policies are called {twice}. Put them into one, with all its groups.")
    if all(isinstance(each, Budget) for each in listed):
        raise ConfigError("AdaptiveSharing: Budget alone changes nothing. Give it a policy to watch over.")
    for each in listed:
        each.check_pause()
    return listed


def find_limit(policies: Sequence[Policy]) -> int | None:
    """The smallest budget; None without one."""
    return min((each.parameters for each in policies if isinstance(each, Budget)), default=None)


def check_run(trainer: Trainer, module: LightningModule, policies: Sequence[Policy]) -> None:
    """Refuse strategies that divide parameters, modules without a spec, and runs without the data a policy needs.

    Raises:
        ConfigError: saying what to do.
    """
    kind = find_kind(trainer.strategy)
    if kind in _DIVIDED:
        raise ConfigError(
            f"AdaptiveSharing: under {_DIVIDED[kind]} the parameters are divided between processes, and no edit can "
            "reach them. Train in one process or under DDP; or save, `lightning-tying checkpoint migrate`, and resume."
        )
    if not hasattr(module, "tied_spec"):
        raise ConfigError(
            f"AdaptiveSharing: {type(module).__name__} does not keep its spec in its checkpoints, so none could carry "
            "an edit. Make it a TiedModule, or tie it with tie_any."
        )
    for each in policies:
        if each.needs_validation and not trainer.enable_validation:
            raise ConfigError(
                f"AdaptiveSharing: {each.label} judges by the validation loss, and this run has no validation. Give it "
                "validation data and a validation_step, and a limit_val_batches above 0."
            )


def check_budget(module: LightningModule, policies: Sequence[Policy], view: View) -> None:
    """Refuse a budget that parting as planned would break for certain.

    Raises:
        ConfigError: with the numbers.
    """
    limit = find_limit(policies)
    if limit is None:
        return
    for policy in policies:
        if isinstance(policy, ShareThenUnshare) and not view.history:
            added = _count_parted(module, [each.groups[0] for each in policy.propose(view)])
            if view.parameters + added > limit:
                raise ConfigError(
                    f"Budget: {limit} parameters cannot be met: {policy.label} brings the model from "
                    f"{view.parameters} to {view.parameters + added}. Let it part fewer groups, or raise the budget."
                )


def _count_parted(module: LightningModule, groups: Sequence[GroupView]) -> int:
    """What splitting groups into their sites adds; what cannot be split adds nothing."""
    added, done = 0, set[str]()
    for group in groups:
        if group.name in done:
            continue
        try:
            edit = prepare_split(module, group.name, [[site] for site in group.sites])
        except ApplyError:
            continue
        done |= {name for name, _ in edit.before}
        added += count_added(edit)
    return added
