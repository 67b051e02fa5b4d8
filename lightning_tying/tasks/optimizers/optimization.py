"""Optimizers of tied modules: a module, an optimizer's and a schedule's maker go in, Lightning's mapping comes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any
from warnings import warn

import torch
from lightning.pytorch.cli import ReduceLROnPlateau
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import override

from lightning_tying.errors import ConfigError
from lightning_tying.lowering.parameter_groups import parameter_groups

SCALE_KEY = "lr_scale"  # stays in the optimizer's groups, so that a schedule that sets its own peaks can be scaled

OptimizerCallable = Callable[[Iterable[Any]], Optimizer]
LRSchedulerCallable = Callable[[Optimizer], LRScheduler | ReduceLROnPlateau]


def default_optimizer(params: Iterable[Any], lr: float = 1e-3) -> Optimizer:
    """AdamW with a learning rate of 0.001, what a task uses when it is given no optimizer."""
    return torch.optim.AdamW(params, lr=lr)


class WarmupCosine(LRScheduler):
    """A learning rate that rises linearly, then falls along half a cosine; one step per optimizer step.

    Args:
        optimizer: its learning rates are the peaks.
        warmup: the part of all steps in which the rate rises, from 0 to 1.
        final: what is left of the peak at the end.
        total_steps: the number of optimizer steps; None for what the trainer estimates.

    Raises:
        ConfigError: `warmup` or `final` is not a part.
    """

    def __init__(
        self, optimizer: Optimizer, warmup: float = 0.1, final: float = 0.01, total_steps: int | None = None
    ) -> None:
        for name, part in (("warmup", warmup), ("final", final)):
            if not 0 <= part <= 1:
                raise ConfigError(f"WarmupCosine: `{name}` is a part, from 0 to 1, not {part}.")
        self.warmup = warmup
        self.final = final
        self.total_steps = total_steps
        super().__init__(optimizer)

    @override
    def get_lr(self) -> list[float | Tensor]:
        """The learning rate of each parameter group at this step."""
        return [peak * self.factor(self.last_epoch) for peak in self.base_lrs]

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at the step of a checkpoint, along the curve of this run.

        A run that is made longer or shorter when it is resumed has other learning rates from here on; that is said.
        """
        total = self.total_steps
        super().load_state_dict(state_dict)
        before = state_dict.get("total_steps")
        if total is None or before is None or total == before:
            return
        self.spread_over(total)
        warn(
            f"WarmupCosine: the checkpoint's learning rate falls over {before} steps, this run's over {total}. From "
            f"step {self.last_epoch} on it follows this run's.",
            stacklevel=2,
        )

    def spread_over(self, total_steps: int) -> None:
        """Set how many steps there are, and the learning rates of this step."""
        self.total_steps = total_steps
        self._last_lr = self.get_lr()  # what `get_last_lr` gives, and a logger writes
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate

    def factor(self, step: int) -> float:
        """What the peak is multiplied by at a step."""
        total = self.total_steps or 1
        rising = max(1, round(total * self.warmup))
        if step < rising:
            return (step + 1) / rising
        done = min(1.0, (step - rising) / max(1, total - rising))
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done))


def configure(
    module: nn.Module,
    optimizer: OptimizerCallable,
    lr_scheduler: LRSchedulerCallable | None,
    *,
    total_steps: Callable[[], float],
    monitor: str,
) -> OptimizerLRSchedulerConfig | Optimizer:
    """Make what `configure_optimizers` returns.

    The spec's policies become parameter groups: each group's `lr` and `weight_decay` is the optimizer's, multiplied
    by the policy, before the schedule sees them.

    Args:
        module: the LightningModule with the tied network inside.
        optimizer: makes the optimizer from parameter groups.
        lr_scheduler: makes the schedule, stepped after every optimizer step (`ReduceLROnPlateau`: every epoch).
        total_steps: called only for a schedule that wants to know.
        monitor: the metric for `ReduceLROnPlateau` that names none.

    Raises:
        ConfigError: nothing is left to train.
    """
    made = make_optimizer(module, optimizer)
    if lr_scheduler is None:
        return made
    schedule = lr_scheduler(made)
    _keep_policies(made)
    if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
        watched = getattr(schedule, "monitor", None) or monitor
        return {"optimizer": made, "lr_scheduler": {"scheduler": schedule, "monitor": watched, "interval": "epoch"}}
    if isinstance(schedule, WarmupCosine) and schedule.total_steps is None:
        schedule.spread_over(_whole(total_steps()))
    return {"optimizer": made, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def make_optimizer(module: nn.Module, optimizer: OptimizerCallable) -> Optimizer:
    """Make the optimizer, with a parameter group for each policy of the spec.

    Raises:
        ConfigError: nothing is left to train, or the optimizer refuses its arguments.
    """
    groups = parameter_groups(module)
    if not groups:
        raise ConfigError("The module has no trainable parameter, so there is nothing to fit.")
    try:
        made = optimizer([{"params": group["params"]} for group in groups])
    except (ValueError, TypeError) as error:
        raise ConfigError(f"The optimizer cannot be made: {error}.") from error
    for target, group in zip(made.param_groups, groups, strict=True):
        target["lr"] = target["lr"] * group["lr_scale"]
        target[SCALE_KEY] = group["lr_scale"]
        if "weight_decay" in target:
            target["weight_decay"] = target["weight_decay"] * group["weight_decay_scale"]
    return made


def _keep_policies(made: Optimizer) -> None:
    """Scale again what a schedule with a peak of its own (`OneCycleLR`, `max_lr`) has written over."""
    for group in made.param_groups:
        scale = group[SCALE_KEY]
        if scale != 1.0 and "max_lr" in group:
            for key in ("lr", "initial_lr", "max_lr", "min_lr"):
                if key in group:
                    group[key] = group[key] * scale


def _whole(steps: float) -> int:
    if math.isinf(steps):
        raise ConfigError("WarmupCosine needs an end: set trainer.max_steps or trainer.max_epochs, or its total_steps.")
    return max(1, int(steps))
