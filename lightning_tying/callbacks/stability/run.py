"""A trainer in, what measuring needs to know of its run out: where to write, what scales and distributes gradients."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar, cast

from lightning.pytorch import LightningModule, Trainer
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn

from lightning_tying.callbacks.stability.watch import Alarm
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.strategy_words import name_strategy
from lightning_tying.reports.stability.history import append_records
from lightning_tying.reports.stability.record import Record

CallbackT = TypeVar("CallbackT")
_OFF = {"DeepSpeedStrategy": "DeepSpeed", "FSDPStrategy": "FSDP1", "XLAStrategy": "XLA"}


def find_obstacle(trainer: Trainer) -> str | None:
    """The strategy under which per-use gradients cannot be had; None for all others."""
    names = (kind.__name__ for kind in type(trainer.strategy).__mro__)
    return next((_OFF[name] for name in names if name in _OFF), None)


def find_strategy(trainer: Trainer, module: LightningModule) -> str:
    """`DDP`, `FSDP2`, …; nothing for one process."""
    wrapped = trainer.strategy.model
    return name_strategy(module if wrapped is None else wrapped)


def find_scale(trainer: Trainer) -> float:
    """By what the loss is multiplied: 1 without a `GradScaler`."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return 1.0 if scaler is None else float(scaler.get_scale())


def has_scaler(trainer: Trainer) -> bool:
    """Whether gradients that are not finite are part of the work: the scaler leaves such a step out and goes on."""
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def unscales_itself(optimizer: object) -> bool:
    """Whether an optimizer unscales gradients within its step, so that they are still scaled before it."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def changes_sums(trainer: Trainer) -> bool:
    """Whether gradients are changed on their way between processes, so that they are no plain mean."""
    return getattr(trainer.strategy, "_ddp_comm_hook", None) is not None


def is_dry(trainer: Trainer) -> bool:
    """Whether nothing is to be written: under `fast_dev_run`, and for a trainer that is bare."""
    return bool(getattr(trainer, "fast_dev_run", False)) or trainer.barebones


def find_folder(trainer: Trainer, chosen: str | None) -> Path:
    """Where records are written: the chosen folder, else the checkpoints', else the trainer's default."""
    callback: Any = trainer.checkpoint_callback
    return Path(chosen or getattr(callback, "dirpath", None) or cast(Any, trainer).default_root_dir)


def refuse_combination(combine: str | Mapping[str, Any], needs_gradients: bool, strategy: str) -> None:
    """Stop where no process has the whole gradients that a combination needs.

    Args:
        combine: what the user wrote.
        needs_gradients: whether it needs those of single uses.
        strategy: nothing for one process.

    Raises:
        ConfigError: it cannot be had under this strategy.
    """
    if needs_gradients and strategy not in ("", "DDP"):
        raise ConfigError(
            f"GradientStability: combine: {combine} does not work under {strategy}, where no process has the whole "
            "gradients of the uses. Train in one process or under DDP; mean and sqrt work under FSDP2, too."
        )


def write_records(path: Path, records: Sequence[Record]) -> bool:
    """Append records to a file; whether that worked, which is said where it did not: training goes on."""
    try:
        append_records(path, records)
    except ConfigError as error:
        rank_zero_warn(f"GradientStability: {error} Training goes on, and nothing more is written.")
        return False
    return True


def list_before(trainer: Trainer, callback: CallbackT) -> list[CallbackT]:
    """The callbacks of its kind that stand before a callback in the trainer."""
    held = cast("list[object]", getattr(trainer, "callbacks", []))  # set at run time
    return [each for each in takewhile(lambda each: each is not callback, held) if isinstance(each, type(callback))]


def warn_of_doubles(folder: Path, names: Set[str], others: Iterable[tuple[Path, Set[str]]]) -> None:
    """Say where two instances write the same groups into one file.

    Args:
        folder: of one of them.
        names: of the groups that it measures.
        others: the same of all that began before.
    """
    both = sorted({name for there, known in others if there == folder for name in names & known})
    if both:
        rank_zero_warn(
            f"GradientStability: two instances measure {both[0]} and write into {folder}, where their samples cannot "
            "be told apart. Give one of them a folder of its own, or other groups."
        )


def react(trainer: Trainer, alarms: Sequence[Alarm], on_conflict: str | None) -> None:
    """Tell what is alarming, and end the training where that was asked for.

    Args:
        trainer: all its processes have the same alarms.
        alarms: of one sample.
        on_conflict: `warn`, `stop` or nothing.
    """
    for alarm in alarms:
        if alarm.kind == "unstable" or on_conflict is not None:
            rank_zero_warn(f"GradientStability: {alarm.text}.")
    if on_conflict == "stop" and any(alarm.kind == "conflict" for alarm in alarms):
        rank_zero_info("GradientStability stops the training: on_conflict is `stop`.")
        trainer.should_stop = True
