"""What a run has when its config does not say otherwise: trainer arguments go in, completed ones come out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ModelSummary, ProgressBar, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from rich.console import Console

from lightning_tying.callbacks.network_summary import NetworkSummary
from lightning_tying.callbacks.parameter_savings import ParameterSavings
from lightning_tying.callbacks.plain_progress import PlainProgress
from lightning_tying.callbacks.random_state import KeepRandomState
from lightning_tying.callbacks.run_checkpoint import RunCheckpoint
from lightning_tying.callbacks.save_on_interrupt import SaveOnInterrupt
from lightning_tying.plugins import AtomicCheckpoints

RUNS = Path("runs")


def find_run_folder(given: str | os.PathLike[str] | None, configs: Iterable[Any] | None) -> Path:
    """The run's folder: the one that is given, or `runs/` and the name of the last config."""
    if given is not None:
        return Path(given)
    names = [Path(str(config)).stem for config in configs or [] if config is not None]
    return RUNS / (names[-1] if names else "run")


def find_best(folder: Path) -> Path | None:
    """The best checkpoint of a run, else its last; None where there is none."""
    return next((path for path in (folder / "best.ckpt", folder / "last.ckpt") if path.is_file()), None)


def find_checkpoint_folders(trainer: Trainer) -> set[Path]:
    """Where the checkpoints of a run lie: its folder, and those of all callbacks that save some."""
    named = (getattr(callback, "dirpath", None) for callback in trainer.checkpoint_callbacks)
    return {Path(trainer.default_root_dir).resolve(), *(Path(folder) for folder in named if folder)}


def add_defaults(trainer: dict[str, Any], folder: Path, model: LightningModule, *, savings: bool) -> dict[str, Any]:
    """Complete the trainer's arguments.

    Args:
        trainer: what the config says.
        folder: the run's folder.
        model: its `monitor` decides which checkpoint is the best.
        savings: whether to report what sharing saves.

    Returns:
        `default_root_dir`, `logger`, `callbacks`, `plugins` and `enable_model_summary`.
    """
    callbacks = _as_list(trainer.get("callbacks"))
    barebones = bool(trainer.get("barebones"))
    logger = trainer.get("logger")
    if logger is None or logger is True:
        logger = None if barebones else make_loggers(folder)
    if not barebones:
        callbacks += list(_missing(callbacks, trainer, folder, model, savings=savings))
    own_summary = _has(callbacks, NetworkSummary)  # then Lightning's, and its message about two of them, are not wanted
    summary = False if own_summary else trainer.get("enable_model_summary")
    return {
        "default_root_dir": str(folder),
        "logger": logger,
        "callbacks": callbacks,
        "plugins": add_plugin(trainer),
        "enable_model_summary": summary,
    }


def add_plugin(trainer: dict[str, Any]) -> list[Any]:
    """The plugins of a config, and atomic checkpoints where neither they nor the strategy bring another way to save."""
    given = trainer.get("plugins")
    plugins: list[Any] = list(cast("list[Any]", given)) if isinstance(given, list) else [] if given is None else [given]
    strategy = trainer.get("strategy")
    own_way = getattr(strategy, "_checkpoint_io", None) is not None or "xla" in str(strategy).lower()
    on_tpu = str(trainer.get("accelerator")).lower() == "tpu"
    if not own_way and not on_tpu and not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
        plugins.append(AtomicCheckpoints())
    return plugins


def make_loggers(folder: Path) -> list[Any]:
    """TensorBoard and CSV, below `logs/` of the run folder."""
    logs = str(folder / "logs")
    return [TensorBoardLogger(logs, name="tensorboard"), CSVLogger(logs, name="csv")]


def make_checkpoint(folder: Path, model: LightningModule) -> RunCheckpoint:
    """Keep the best checkpoint by the model's `monitor`, and the last, beside each other in the run folder."""
    return RunCheckpoint(folder, getattr(model, "monitor", None), getattr(model, "monitor_mode", "min"))


def make_progress_bar() -> ProgressBar:
    """Rich's in a terminal, else plain lines."""
    console = Console()
    return RichProgressBar() if console.is_terminal and not console.is_dumb_terminal else PlainProgress()


def _missing(
    callbacks: list[Callback], trainer: dict[str, Any], folder: Path, model: LightningModule, *, savings: bool
) -> Iterable[Callback]:
    if savings and not _has(callbacks, ParameterSavings):
        yield ParameterSavings(folder)
    if trainer.get("enable_model_summary") is not False and not _has(callbacks, ModelSummary):
        yield NetworkSummary()
    if not _has(callbacks, KeepRandomState):
        yield KeepRandomState()
    if trainer.get("enable_progress_bar") is not False and not _has(callbacks, ProgressBar):
        yield make_progress_bar()
    if not _has(callbacks, SaveOnInterrupt):
        yield SaveOnInterrupt(folder)  # behind the others: when it saves a step, they have counted it
    if trainer.get("enable_checkpointing") is not False and not _has(callbacks, ModelCheckpoint):
        yield make_checkpoint(folder, model)


def _has(callbacks: list[Callback], kind: type[Callback]) -> bool:
    return any(isinstance(callback, kind) for callback in callbacks)


def _as_list(callbacks: Any) -> list[Callback]:
    if callbacks is None:
        return []
    return list(cast("list[Callback]", callbacks)) if isinstance(callbacks, list) else [callbacks]
