"""A trainer with several processes in; all of them agree on one edit, and DDP wraps the edited module anew, out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch.distributed are typed in part only.

from __future__ import annotations

import gc
from typing import Any

from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from lightning_tying.errors import ApplyError


def agree(trainer: Any, text: str, failed: bool) -> None:
    """Let every process say what it is about to do, before any does it.

    Args:
        trainer: of one process or several.
        text: the edit, or why this process cannot carry it out.
        failed: whether it cannot.

    Raises:
        ApplyError: a process cannot, or they would do different things; on every process alike.
    """
    if int(trainer.world_size) < 2 or not distributed.is_initialized():
        return
    told: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(told, (failed, text))
    refused = [(rank, words) for rank, (fails, words) in enumerate(told) if fails]
    if refused and not failed:
        rank, words = refused[0]
        raise ApplyError(f"Process {rank} cannot carry out this edit, so none does: {words}")
    if not refused and any(words != text for _, words in told):
        other = next(rank for rank, (_, words) in enumerate(told) if words != text)
        raise ApplyError(
            f"Process {distributed.get_rank()} and process {other} are about to do different edits: {text} and "
            f"{told[other][1]}. Decide by what is the same on all of them: reduce a measured number first "
            "(trainer.strategy.reduce)."
        )


def wrap_again(trainer: Any, module: nn.Module) -> None:
    """Give an edited module another DDP wrapper: the old one's reducer does not know the new parameters.

    Lightning has no public way; this is the one place that calls its own.

    Args:
        trainer: under DDP, at an epoch's start; for any other nothing happens.
        module: its LightningModule.
    """
    strategy = trainer.strategy
    if not isinstance(strategy.model, DistributedDataParallel):
        return
    strategy.model = module
    gc.collect()  # the old reducer takes its hooks off the parameters when it goes
    strategy.configure_ddp()
