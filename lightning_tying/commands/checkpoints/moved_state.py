"""The optimizers and the sharing of a checkpoint go in; those of the migrated model stand in its content then."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from lightning.pytorch import LightningModule

from lightning_tying.checkpoints.migrate_optimizer import migrate_optimizer, migrate_schedule
from lightning_tying.checkpoints.origins import Layout, Origin
from lightning_tying.checkpoints.read import OPTIMIZERS
from lightning_tying.checkpoints.saved_sharing import SHARING
from lightning_tying.commands.checkpoints.models import find_optimizers
from lightning_tying.errors import ConfigError
from lightning_tying.tasks.watch.checkpoint_content import write_content
from lightning_tying.tasks.watch.watched_module import WatchedModule


def move_optimizers(
    content: dict[str, Any],
    source: LightningModule,
    target: LightningModule,
    origins: Mapping[str, Origin],
    *,
    weights_only: bool,
) -> None:
    """Write the states of the target's optimizers and schedules into a checkpoint's content.

    Args:
        content: with the source's.
        source: the model that the checkpoint is of.
        target: the same, migrated.
        origins: where the target's parameters come from.
        weights_only: leave them out.

    Raises:
        ConfigError: the checkpoint's are not those that the model makes.
    """
    saved = cast("list[dict[str, Any]]", content.get(OPTIMIZERS) or [])
    if weights_only or not saved:
        content.pop(OPTIMIZERS, None)
        content.pop("lr_schedulers", None)
        return
    makers = find_optimizers(source), find_optimizers(target)
    if not len(makers[0]) == len(makers[1]) == len(saved):
        raise ConfigError(f"The checkpoint holds {len(saved)} optimizers, and the model makes {len(makers[0])}.")
    names = first_names(source), first_names(target)
    content[OPTIMIZERS] = [
        migrate_optimizer(each, before, after, names, origins)
        for each, before, after in zip(saved, *makers, strict=True)
    ]
    schedules = cast("list[dict[str, Any]]", content.get("lr_schedulers") or [])
    numbers = range(len(schedules)) if len(schedules) == len(saved) else [0] * len(schedules)
    content["lr_schedulers"] = [
        migrate_schedule(each, saved[number]["param_groups"], content[OPTIMIZERS][number]["param_groups"])
        for each, number in zip(schedules, numbers, strict=True)
    ]


def first_names(model: LightningModule) -> dict[int, str]:
    """The first name of every parameter by its id, in model order."""
    layout = Layout(model)
    return {id(parameter): layout.first_name(parameter) for parameter in model.parameters()}


def write_sharing(content: dict[str, Any], target: LightningModule) -> None:
    """Write the target's spec into a checkpoint's content and its hparams."""
    content.pop(SHARING, None)
    if isinstance(target, WatchedModule):
        write_content(target, content)
    hparams = content.get("hyper_parameters")
    if isinstance(hparams, dict) and "sharing" in hparams:
        content["hyper_parameters"] = {**hparams, "sharing": dict(cast(Any, target).hparams).get("sharing")}
