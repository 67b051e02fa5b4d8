"""The checkpoints of a run: a training module goes in, `best.ckpt` and `last.ckpt` come out."""

from __future__ import annotations

import os
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from typing_extensions import override


class RunCheckpoint(ModelCheckpoint):
    """Keeps the best checkpoint by a metric, and the last one, which is always of the last step.

    Lightning's own saves at validations only, so that up to a validation's interval of steps would be lost at the end.

    Args:
        folder: where both files lie; a new run writes over them.
        monitor: the metric; None keeps the newest as the best.
        mode: whether a smaller or a larger value is better.
    """

    def __init__(
        self, folder: str | os.PathLike[str], monitor: str | None = None, mode: Literal["min", "max"] = "min"
    ) -> None:
        super().__init__(
            dirpath=str(folder),
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=True,
            enable_version_counter=False,
        )

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save the step that `max_steps` ends with.

        At the end of training Lightning calls the epoch finished, and a longer run that goes on from there would begin
        the next one.
        """
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if trainer.global_step == trainer.max_steps:
            self._save_last(trainer)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last step, unless that was done."""
        if trainer.global_step != trainer.max_steps:
            self._save_last(trainer)

    def _save_last(self, trainer: Trainer) -> None:
        if not self._should_skip_saving_checkpoint(trainer):  # `fast_dev_run`, or saved already
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
