"""A tied joint model and a member's name go in; an ordinary checkpoint of that member's task alone comes out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
from lightning import __version__
from torch import Tensor, nn

from lightning_tying.api import materialize
from lightning_tying.checkpoints.write import check_target, write_checkpoint
from lightning_tying.errors import ConfigError


def export_member(
    joint: pl.LightningModule,
    task: pl.LightningModule,
    member: str,
    path: Path,
    written: Mapping[str, Any],
    *,
    force: bool = False,
) -> None:
    """Write the checkpoint; the joint model stays as it is.

    Args:
        joint: the model, tied or not, with `models.‹member›`.
        task: the member's.
        member: its name.
        path: of the file.
        written: what `find_written` found of the members.
        force: whether a file that is there is replaced.

    Raises:
        ConfigError: the member is not built yet, or the file cannot be written.
    """
    check_target(path, force=force)
    weights = find_weights(joint, member)
    trainer = getattr(joint, "_trainer", None)
    content: dict[str, Any] = {
        "epoch": 0 if trainer is None else int(trainer.current_epoch),
        "global_step": 0 if trainer is None else int(trainer.global_step),
        "pytorch-lightning_version": __version__,
        "state_dict": weights,
        "hyper_parameters": _find_hparams(task, written.get(member)),
    }
    kept: dict[str, Any] = {}
    task.on_save_checkpoint(kept)
    write_checkpoint({**kept, **content}, path, force=force)


def find_weights(joint: nn.Module, member: str) -> dict[str, Tensor]:
    """The weights of a member under the names that its task has alone, derived values written out.

    Args:
        joint: the model; it stays as it is.
        member: a name.

    Raises:
        ConfigError: the member is not built yet.
    """
    models = cast("Mapping[str, nn.Module]", joint.get_submodule("models"))
    if member not in models:
        raise ConfigError(f"The member `{member}` is not built yet. Export it after `configure_model`, or after a fit.")
    plain = deepcopy(joint)
    materialize(plain)
    network = plain.get_submodule(f"models.{member}").state_dict()
    tasks = cast("Mapping[str, nn.Module]", joint.get_submodule("members"))
    if member not in tasks:
        return network
    own = plain.get_submodule(f"members.{member}").state_dict()
    return {**{f"network.{name}": value for name, value in network.items()}, **own}


def find_written(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """What a run config says of each member, as the hparams that its task would have by itself.

    Args:
        hparams: of the joint model.

    Returns:
        By member; nothing where the model was made in Python.
    """
    members = hparams.get("members")
    if "_instantiator" not in hparams or not isinstance(members, Mapping):
        return {}
    sections = cast("Mapping[str, Mapping[str, Any]]", members)
    return {
        name: {
            "_class_path": section["class_path"],
            **cast("Mapping[str, Any]", section.get("init_args") or {}),
            "_instantiator": hparams["_instantiator"],
        }
        for name, section in sections.items()
    }


def _find_hparams(task: pl.LightningModule, written: Mapping[str, Any] | None) -> dict[str, Any]:
    if written is not None:
        return {**written}
    return {**cast("Mapping[str, Any]", task.hparams), "sharing": None} if task.hparams else {}
