"""Ctrl-C while training: a signal goes in, a checkpoint that can be resumed comes out."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from lightning_tying.callbacks.moments import accumulates, epoch_ends, validation_follows


class SaveOnInterrupt(Callback):
    """Ends the step at hand, and the validation if one is due, saves a checkpoint and stops, in all processes together.

    A second Ctrl-C stops at once and saves nothing: what was saved before is as it was. Belongs behind the other
    callbacks, so that they have counted the step when it is saved.

    Args:
        folder: where `last.ckpt` is written; None for the trainer's `default_root_dir`.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = folder
        self.saved: Path | None = None
        self._asked = False
        self._begun = False
        self._before: Any = None

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signal, where Python allows it."""
        self._asked = self._begun = False
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._receive)

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """From here a signal waits for the end of a step; a batch that is fetched and not used would be lost."""
        self._begun = True

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop, if a signal came and nothing else belongs to this step."""
        if self._is_asked(trainer) and not _is_open(trainer) and not validation_follows(trainer):
            for callback in trainer.checkpoint_callbacks:  # they come later, and would not be called any more
                callback.on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
            self._stop(trainer)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop, if a signal came before or in a validation of the training."""
        if self._begun and self._is_asked(trainer) and not _is_open(trainer):
            for callback in trainer.checkpoint_callbacks:
                callback.on_validation_end(trainer, pl_module)
            self._stop(trainer)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop where an epoch is one batch; else the next batch is waited for: the module's own hook comes after."""
        if trainer.num_training_batches == 1 and self._is_asked(trainer):
            for callback in trainer.checkpoint_callbacks:
                callback.on_train_epoch_end(trainer, pl_module)
            self._stop(trainer)

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signal back."""
        self._begun = False
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the old handler out: it belongs to one process and cannot be pickled."""
        return {**self.__dict__, "_before": None}

    def _is_asked(self, trainer: Trainer) -> bool:
        """Whether any process got the signal: all must stop at the same step."""
        if trainer.world_size == 1:
            return self._asked
        return trainer.strategy.reduce_boolean_decision(self._asked, all=False)

    def _stop(self, trainer: Trainer) -> None:
        if not getattr(trainer, "fast_dev_run", False) and not trainer.barebones:
            path = Path(self.folder or trainer.default_root_dir) / "last.ckpt"
            trainer.save_checkpoint(path)
            self.saved = path
        raise KeyboardInterrupt

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked or not self._begun:
            raise KeyboardInterrupt
        self._asked = True


def _is_open(trainer: Trainer) -> bool:
    """Whether a step or an epoch is yet to be ended."""
    return accumulates(trainer) or epoch_ends(trainer)
