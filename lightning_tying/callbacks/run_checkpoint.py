"""The checkpoints of a run: a training module goes in, `best.ckpt` and `last.ckpt` come out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, cast
from weakref import proxy

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from typing_extensions import override

from lightning_tying.callbacks.moments import accumulates, epoch_ends, mend_restart, validation_follows
from lightning_tying.checkpoints.atomic_write import name_partial, replace_folder, sweep_partial, sync_tree
from lightning_tying.errors import ConfigError

MID_STEP = "mid_step"  # in a checkpoint that was written while gradients were accumulated


class RunCheckpoint(ModelCheckpoint):
    """Keeps the best checkpoint by a metric, and the last one: of every validation, every n-th step and the last step.

    Lightning's own saves no last one while the metric does not improve, and none of the steps after the last
    validation. Every file can be resumed as if there had been no break: none is written between a step and the
    validation that follows it, and `last.ckpt` never while gradients are accumulated.

    A sharded checkpoint is a folder: it is written beside the old one, which is removed when the new one is whole.

    Args:
        folder: where both files lie; a new run writes over them.
        monitor: the metric; None keeps the newest as the best.
        mode: whether a smaller or a larger value is better.
        every_n_steps: save `last.ckpt` after every so many optimizer steps too; None only at validations.

    Raises:
        ConfigError: `every_n_steps` is less than 1.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        every_n_steps: int | None = None,
    ) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ConfigError(f"RunCheckpoint: `every_n_steps` is a number of steps, at least 1, not {every_n_steps}.")
        super().__init__(
            dirpath=str(folder),
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=True,
            enable_version_counter=False,
        )
        self.every_n_steps = every_n_steps
        self._last_step = 0  # of which `last.ckpt` is
        self._last_due = False
        self._best_due = False

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove what a killed run left half written, and begin an epoch where one had ended."""
        super().on_train_start(trainer, pl_module)
        mend_restart(trainer)
        self._last_step = 0
        if trainer.is_global_zero and self.dirpath is not None and "://" not in str(self.dirpath):
            sweep_partial(Path(self.dirpath))

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save every n-th step, and the step that `max_steps` ends with.

        At the end of training Lightning calls the epoch finished, and a longer run that goes on from there would begin
        the next one.
        """
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        step = trainer.global_step
        every = self.every_n_steps is not None and step % self.every_n_steps == 0
        if (self._last_due or every or step == trainer.max_steps) and not validation_follows(trainer):
            self._save_last(trainer)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best, if this is it, and the last in any case; after the last batch of an epoch at its end."""
        if self._is_off(trainer) or self._should_save_on_train_epoch_end(trainer):
            return
        self._best_due = epoch_ends(trainer)
        if not self._best_due:
            super().on_validation_end(trainer, pl_module)
        self._save_last(trainer)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what was due in the last batch; and all, where validation comes at the end of epochs, or never."""
        if not epoch_ends(trainer):  # broken off in its middle: saved, and a longer run is to go on with its rest
            return
        if self._best_due:
            self._best_due = False
            super().on_validation_end(trainer, pl_module)
            self._last_due = True
        super().on_train_epoch_end(trainer, pl_module)
        if self._last_due or self._should_save_on_train_epoch_end(trainer):
            self._save_last(trainer, epoch_ended=True)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last step, unless that was done."""
        if trainer.global_step != trainer.max_steps:
            self._save_last(trainer, epoch_ended=True)

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Mark a best checkpoint of the middle of an accumulated step: no run goes on from there exactly."""
        if trainer.state.fn == TrainerFn.FITTING and accumulates(trainer):
            checkpoint[MID_STEP] = True

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state, with the score that Lightning leaves out."""
        super().load_state_dict(state_dict)
        self.current_score = state_dict.get("current_score")

    @override
    def _should_save_on_train_epoch_end(self, trainer: Trainer) -> bool:
        """Lightning takes `val_check_interval: 1`, after every batch, for `1.0`, after every epoch."""
        counts: Any = trainer.num_val_batches
        validates = sum(cast("list[float]", counts)) > 0 if isinstance(counts, list) else counts > 0
        each_batch = validates and type(trainer.val_check_interval) is int
        return super()._should_save_on_train_epoch_end(trainer) and not each_batch

    def _is_off(self, trainer: Trainer) -> bool:
        fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        return bool(getattr(trainer, "fast_dev_run", False)) or not fitting

    def _save_last(self, trainer: Trainer, *, epoch_ended: bool = False) -> None:
        if self._is_off(trainer) or trainer.global_step == 0:
            return
        self._last_due = not epoch_ended and (epoch_ends(trainer) or accumulates(trainer))
        if not self._last_due:
            best_step = self._last_global_step_saved
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
            self._last_global_step_saved = best_step  # else Lightning saves no best one of this step any more

    @override
    def _save_last_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        """Once a step; Lightning calls this too, whenever it has saved the best."""
        self._last_due = trainer.training is False and accumulates(trainer)
        if not self._last_due and trainer.global_step != self._last_step:
            super()._save_last_checkpoint(trainer, monitor_candidates)
            self._last_step = trainer.global_step

    @override
    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        if not writes_folders(trainer):
            super()._save_checkpoint(trainer, filepath)
            return
        whole = Path(trainer.strategy.broadcast(filepath))
        partial = trainer.strategy.broadcast(name_partial(whole))
        trainer.save_checkpoint(partial, self.save_weights_only)
        if trainer.is_global_zero:
            sync_tree(partial)
            replace_folder(partial, whole)
        trainer.strategy.barrier("RunCheckpoint")
        self._last_global_step_saved = trainer.global_step
        self._last_checkpoint_saved = filepath
        for logger in trainer.loggers if trainer.is_global_zero else []:
            logger.after_save_checkpoint(proxy(self))


def writes_folders(trainer: Trainer) -> bool:
    """Whether the strategy writes a checkpoint as a folder of shards, without a CheckpointIO."""
    strategy: Any = trainer.strategy
    sharded: bool = getattr(strategy, "_save_distributed_checkpoint", False)
    return sharded or getattr(strategy, "_state_dict_type", None) == "sharded"
