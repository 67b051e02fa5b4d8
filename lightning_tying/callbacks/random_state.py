"""Random numbers over a break: a checkpoint is saved or loaded, dropout goes on as if nothing had happened."""

# pyright: reportUnknownMemberType=false
# torch.distributed is typed in part only.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning_utilities.core.rank_zero import rank_zero_warn
from typing_extensions import override

from lightning_tying.callbacks.generators import choose_states, read_states, write_states
from lightning_tying.errors import ConfigError

KEY = "random_state"


class KeepRandomState(Callback):
    """Keeps the states of the random generators of every process in the checkpoint, and takes them up in a resumed fit.

    Those of torch (CPU and CUDA), numpy and Python, as tensors and numbers. They are taken up at the first batch: the
    sanity check, the iterators and the initial values of a resumed run draw numbers before that. A dataset that
    draws in the main process while that batch is fetched draws before it too.

    With more processes than the checkpoint has, the others get states that follow from its first one and their number;
    if all of its states were equal, these are too. That is said.
    """

    def __init__(self) -> None:
        self._loaded: Sequence[Mapping[str, Any]] | None = None

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the states of all processes; Lightning calls this in each of them."""
        states: list[dict[str, Any]] = [read_states()]
        if trainer.world_size > 1 and torch.distributed.is_initialized():
            states *= trainer.world_size
            torch.distributed.all_gather_object(states, states[0])
        checkpoint[KEY] = states

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the states; what is still to come before the first step draws numbers too."""
        self._loaded = checkpoint.get(KEY)

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Take this process's states up, once.

        Raises:
            ConfigError: the checkpoint's states are damaged.
        """
        loaded, self._loaded = self._loaded, None
        if not loaded:
            return
        if len(loaded) != trainer.world_size:
            rank_zero_warn(
                f"The checkpoint has the random states of {len(loaded)} processes, and this run has "
                f"{trainer.world_size}: dropout and the like differ from a run without a break."
            )
        try:
            write_states(choose_states(loaded, trainer.global_rank))
        except (RuntimeError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise ConfigError(
                f"The random states of the checkpoint cannot be taken up ({error}). Without the callback "
                "KeepRandomState they are left alone."
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was loaded: it belongs to one process."""
        return {"_loaded": None}
