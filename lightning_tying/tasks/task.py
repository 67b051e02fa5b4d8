"""What all tasks share: a network, its sharing and an optimizer go in, a tied LightningModule comes out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import lightning.pytorch as pl
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from typing_extensions import override

from lightning_tying.errors import ConfigError
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.tasks.network_source import Network, check_maker
from lightning_tying.tasks.optimizers.optimization import LRSchedulerCallable, OptimizerCallable, configure
from lightning_tying.tasks.sharing_source import Sharing
from lightning_tying.tasks.tied_module import TiedModule

NOT_PLAIN = ("network", "optimizer", "lr_scheduler", "sharing")


class Task(TiedModule, pl.LightningModule):
    """The base of the tasks; not to be used by itself.

    Attributes:
        monitor: the metric by which the best checkpoint is chosen.
        monitor_mode: whether a smaller or a larger value is better.
        reads: what every batch must have.
    """

    monitor: ClassVar[str] = "val/loss"
    monitor_mode: ClassVar[Literal["min", "max"]] = "min"
    reads: ClassVar[tuple[str, ...]] = ()
    network: nn.Module

    def setup_task(
        self,
        network: Network,
        sharing: Sharing | SharingSpec | None,
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable | None,
        init_from: str | Path | None,
    ) -> None:
        """Keep the makers, write hparams, and tie; the last thing that a task's `__init__` does.

        Args:
            network: a module, which is tied now, or its maker, which `configure_model` calls.
            sharing: what `tie_network` takes.
            optimizer: makes the optimizer from parameter groups.
            lr_scheduler: makes the schedule.
            init_from: what `tie_network` takes.
        """
        self.make_optimizer = optimizer
        self.make_lr_scheduler = lr_scheduler
        _remember_arguments(self)
        if isinstance(network, nn.Module):
            self.network = network
            self.tie_network(sharing, init_from=init_from)
        else:
            check_maker(network)
            self.tie_network(sharing, build=network, init_from=init_from)

    @override
    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Make the optimizer, with a parameter group for each policy of the spec, and the schedule."""
        return configure(
            self,
            self.make_optimizer,
            self.make_lr_scheduler,
            total_steps=lambda: self.trainer.estimated_stepping_batches,
            monitor=self.monitor,
        )

    @override
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Refuse batches for another task."""
        self.check_batch(batch)

    @override
    def on_validation_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Refuse batches for another task."""
        self.check_batch(batch)

    @override
    def on_test_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Refuse batches for another task."""
        self.check_batch(batch)

    @override
    def on_predict_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Refuse batches for another task."""
        self.check_batch(batch)

    def check_batch(self, batch: object) -> None:
        """Refuse the batches of data that are made for another task.

        Raises:
            ConfigError: a batch lacks what this task reads.
        """
        found = list(cast("Mapping[str, Any]", batch)) if isinstance(batch, Mapping) else []
        if any(name not in found for name in self.reads):
            has = f"`{'`, `'.join(found)}`" if found else f"an object of type {type(cast(object, batch)).__name__}"
            raise ConfigError(
                f"{type(self).__name__} reads `{'`, `'.join(self.reads)}` from each batch, and the data gives {has}. "
                "Choose the data's `task` that fits the model."
            )

    @override
    def forward(self, *inputs: Tensor) -> Tensor:
        """What the network says: logits."""
        return self.network(*inputs)

    def log_values(self, stage: str, values: dict[str, float]) -> None:
        """Log `stage/name` for the values of an epoch, the same on all ranks already."""
        self.log_dict({f"{stage}/{name}": value for name, value in values.items()}, sync_dist=True)

    @property
    def datamodule(self) -> Any:
        """The trainer's datamodule; None without a trainer or without a datamodule."""
        trainer = getattr(self, "_trainer", None)
        return getattr(trainer, "datamodule", None)


def check_part(what: str, part: float) -> None:
    """Refuse what is no part of a whole.

    Raises:
        ConfigError: naming the argument.
    """
    if not 0 <= part <= 1:
        raise ConfigError(f"{what} is a part, from 0 to 1, not {part}.")


def _remember_arguments(task: Task) -> None:
    """Save hparams as plain content.

    From a run config Lightning has them as plain data, the network's class and arguments included. From Python the
    network is an object, which no checkpoint should hold: `load_from_checkpoint` is given it again.
    """
    frame = inspect.currentframe()
    outer = frame.f_back.f_back if frame is not None and frame.f_back is not None else None
    task.save_hyperparameters(ignore=list(NOT_PLAIN), frame=outer)
    if "_instantiator" in task.hparams:
        task.save_hyperparameters(frame=outer)
