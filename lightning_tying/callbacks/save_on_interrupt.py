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


class SaveOnInterrupt(Callback):
    """Lets the batch at hand end, saves a checkpoint, and lets Lightning shut down; a second Ctrl-C stops at once.

    Args:
        folder: where `last.ckpt` is written; None for the trainer's `default_root_dir`.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = folder
        self.saved: Path | None = None
        self._asked = False
        self._in_batch = False
        self._before: Any = None

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signal, where Python allows it."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._receive)

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """From here a signal waits for the end of the batch, so that no step is saved half made."""
        self._in_batch = True

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop, if a signal came."""
        self._in_batch = False
        if self._asked:
            raise KeyboardInterrupt

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save what there is; nothing under fast_dev_run and before the first step."""
        if not isinstance(exception, KeyboardInterrupt) or not trainer.training or trainer.global_step == 0:
            return
        if getattr(trainer, "fast_dev_run", False) or trainer.barebones:
            return
        path = Path(self.folder or trainer.default_root_dir) / "last.ckpt"
        trainer.save_checkpoint(path)
        self.saved = path

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signal back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the old handler out: it belongs to one process and cannot be pickled."""
        return {**self.__dict__, "_before": None}

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked or not self._in_batch:
            raise KeyboardInterrupt
        self._asked = True
