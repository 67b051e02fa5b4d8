"""What processes that train apart have besides the first one's: gathered for a checkpoint, and given back to each."""

# pyright: reportUnknownMemberType=false
# torch.distributed and Lightning are typed in part only.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lightning_tying.errors import ConfigError


def gather_parts(trainer: Trainer, module: LightningModule) -> list[Any]:
    """The parts of all processes but the first, in the order of their ranks; called in each of them.

    Returns:
        In the first process the parts; in the others nothing of use.
    """
    mine = None if trainer.global_rank == 0 else _read_part(trainer, module)
    gathered: list[Any] = [None] * trainer.world_size
    target = gathered if trainer.global_rank == 0 else None
    untyped: Any = torch.distributed
    untyped.gather_object(mine, target, dst=0)
    return gathered[1:]


def take_part(trainer: Trainer, module: LightningModule, parts: Sequence[Mapping[str, Any]]) -> None:
    """Give this process its weights, buffers and optimizer states back.

    Args:
        trainer: whose checkpoint has been loaded, so that all processes have what the first one had.
        module: of this process.
        parts: of a checkpoint.

    Raises:
        ConfigError: the run has another number of processes than the one that was saved.
    """
    if len(parts) + 1 != trainer.world_size:
        raise ConfigError(
            f"The checkpoint is of {len(parts) + 1} processes that train apart, and this run has "
            f"{trainer.world_size}. Resume with {len(parts) + 1}, or start from its weights with --init_from."
        )
    if trainer.global_rank == 0:
        return
    part = parts[trainer.global_rank - 1]
    with torch.no_grad():
        for name, tensor in _find_tensors(module).items():
            tensor.copy_(part["tensors"][name])
    for optimizer, state in zip(trainer.optimizers, part["optimizers"], strict=True):
        optimizer.load_state_dict(state)


def _read_part(trainer: Trainer, module: LightningModule) -> dict[str, Any]:
    tensors = {name: tensor.detach().cpu() for name, tensor in _find_tensors(module).items()}
    return {"tensors": tensors, "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers]}


def _find_tensors(module: LightningModule) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
