"""The run folder: a trainer and a text go in, a file beside the run's checkpoints comes out."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_tying.data.cache import write_whole


def find_run_folder(trainer: Trainer) -> Path | None:
    """The checkpoints' folder, else the loggers', else the default one; None under `fast_dev_run` and for URLs.

    Call it on every process: `Trainer.log_dir` is agreed on between them.
    """
    if getattr(trainer, "fast_dev_run", False):
        return None
    callback = trainer.checkpoint_callback
    chosen = callback.dirpath if isinstance(callback, ModelCheckpoint) else None
    folder = str(chosen or trainer.log_dir or trainer.default_root_dir)
    return None if "://" in folder else Path(folder)


def save_in_run_folder(trainer: Trainer, name: str, text: str) -> None:
    """Write a text file into the run folder; every process calls it, the first one writes.

    Raises:
        ConfigError: the file cannot be written.
    """
    folder = find_run_folder(trainer)
    if folder is not None and trainer.is_global_zero:
        write_whole(folder / name, [text.encode()])
