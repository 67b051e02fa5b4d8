"""Random numbers over a break: a checkpoint is saved or loaded, dropout goes on as if nothing had happened."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

KEY = "random_state"


class KeepRandomState(Callback):
    """Keeps the state of torch's generators in the checkpoint, and takes it up when a fit is resumed.

    Only in a run of one process: a checkpoint has one state, and processes with equal dropout would learn less.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the states."""
        if trainer.world_size == 1:
            devices: list[Tensor] = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
            checkpoint[KEY] = {"cpu": torch.get_rng_state(), "cuda": devices}

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the states; what is still to come before the first step draws numbers too."""
        self._loaded = checkpoint.get(KEY) if trainer.world_size == 1 else None

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the states up."""
        if self._loaded is None:
            return
        torch.set_rng_state(self._loaded["cpu"].cpu())
        devices = [state.cpu() for state in self._loaded["cuda"]]
        if devices and len(devices) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(devices)
        self._loaded = None
