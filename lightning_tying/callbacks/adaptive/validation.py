"""A trainer between two steps in; the validation loss of the module as it is out, with nothing else changed.

Lightning's own loop would call the callbacks, log, and count a validation that is none.
"""

# pyright: reportUnknownMemberType=false
# Lightning and torchmetrics are typed in part only.

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from lightning.pytorch.utilities.data import extract_batch_size
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_tying.errors import ConfigError

RETURNED = "(returned)"  # the loss that a validation step returns


def measure_loss(trainer: Trainer, module: LightningModule, metric: str | None) -> float:
    """Run the validation batches through `validation_step`; the loss as a validation would log it, over all processes.

    What a step logs or returns is averaged by rows; what `on_validation_epoch_end` logs is taken as it is. Random
    generators, training modes and torchmetrics are left as they were, so that two calls see the same.

    Args:
        trainer: in training, with validation data.
        module: that it trains.
        metric: under which the module logs the loss; None for what it names `monitor`, `val/loss`, `val_loss`, or what
            the step returns.

    Raises:
        ConfigError: no such loss was logged or returned.
    """
    sums: dict[str, tuple[Tensor, float]] = {}
    with isolate_rng(), torch.no_grad(), _evaluating(trainer, module), _capture_logs(module) as logged:
        module.on_validation_epoch_start()
        for batch, arguments in _list_batches(trainer, module):
            logged.clear()
            output = trainer.strategy.validation_step(batch, *arguments)
            for name, (value, rows) in ({**logged} | _read_output(output)).items():
                weight = rows or _count_rows(batch)
                total, seen = sums.get(name, (torch.zeros((), dtype=torch.float64), 0.0))
                sums[name] = (total + value.detach().to("cpu", torch.float64) * weight, seen + weight)
        logged.clear()
        module.on_validation_epoch_end()
        sums |= {name: (value.detach().to("cpu", torch.float64), 1.0) for name, (value, _) in logged.items()}
    return _average(trainer, *sums[_choose(sums, metric, module)])


def _choose(found: Iterable[str], metric: str | None, module: LightningModule) -> str:
    names = ["val/loss", "val_loss", RETURNED] if metric is None else [metric]
    if metric is None and getattr(module, "monitor_mode", "min") == "min" and hasattr(module, "monitor"):
        names.insert(0, str(cast(Any, module).monitor))
    known = set(found)
    chosen = next((name for name in names if name in known), None)
    if chosen is None:
        listed = ", ".join(sorted(known - {RETURNED})) or "nothing"
        raise ConfigError(
            f"JoinOnRedundancy: validation logs no {metric or 'val/loss'!r} as a number, so no join can be judged. It "
            f"logs {listed}. Name one, of which less is better, in metric."
        )
    return chosen


def _average(trainer: Trainer, total: Tensor, rows: float) -> float:
    both = torch.stack([total, torch.tensor(rows, dtype=torch.float64)]).to(trainer.strategy.root_device)
    summed: list[float] = cast(Any, trainer.strategy.reduce(both, reduce_op="sum")).tolist()
    return summed[0] / summed[1] if summed[1] else float("nan")


def _list_batches(trainer: Trainer, module: LightningModule) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Each batch on its device, with the further arguments of `validation_step`."""
    loop: Any = trainer.fit_loop.epoch_loop.val_loop
    loop.setup_data()
    held = loop._combined_loader  # its mode has no public name
    mode: Any = getattr(held, "_mode", "sequential")
    loader = CombinedLoader(trainer.val_dataloaders, mode)
    iter(loader)
    loader.limits = list(loop.max_batches) if mode == "sequential" else None
    several = mode == "sequential" and len(loader.flattened) > 1
    most = max(loop.max_batches) if mode != "sequential" else float("inf")
    for batch, batch_idx, dataloader_idx in loader:
        if batch_idx >= most:
            break
        ready = trainer.precision_plugin.convert_input(batch)
        ready = cast(Any, module)._on_before_batch_transfer(ready, dataloader_idx=dataloader_idx)
        ready = trainer.strategy.batch_to_device(ready, dataloader_idx=dataloader_idx)
        yield ready, (batch_idx, dataloader_idx) if several else (batch_idx,)


@contextmanager
def _evaluating(trainer: Trainer, module: LightningModule) -> Generator[None]:
    """The module as validation has it; afterwards training modes and metrics are as before."""
    modes = [(part, part.training) for part in module.modules()]
    metrics = [(part, _read_metric(part)) for part in module.modules() if isinstance(part, Metric)]
    stage = trainer.state.stage
    module.eval()
    for part, _ in metrics:
        cast(Any, part).reset()
    trainer.validating = True
    try:
        yield
    finally:
        trainer.state.stage = stage
        for part, training in modes:
            part.training = training
        for part, held in metrics:
            for name, value in held.items():
                setattr(part, name, value)


def _read_metric(metric: nn.Module) -> dict[str, Any]:
    names = (*cast(Any, metric)._defaults, "_update_count", "_computed", "_forward_cache", "_update_called")
    return {name: copy.deepcopy(metric.__dict__[name]) for name in names if name in metric.__dict__}


@contextmanager
def _capture_logs(module: LightningModule) -> Generator[dict[str, tuple[Tensor, float]]]:
    """What the module logs as tensors and numbers, with the rows of its batch (0 where it does not say), not logged."""
    logged: dict[str, tuple[Tensor, float]] = {}

    def log(name: str, value: object, *rest: object, batch_size: int | None = None, **options: object) -> None:
        del rest, options
        if isinstance(value, Tensor | float | int):
            logged[name] = (torch.as_tensor(value), float(batch_size or 0))

    before: Callable[..., Any] | None = module.__dict__.get("log")
    module.__dict__["log"] = log
    try:
        yield logged
    finally:
        if before is None:
            del module.__dict__["log"]
        else:
            module.__dict__["log"] = before


def _read_output(output: object) -> dict[str, tuple[Tensor, float]]:
    found = cast("Mapping[str, object]", output).get("loss") if isinstance(output, Mapping) else output
    return {RETURNED: (found, 0.0)} if isinstance(found, Tensor) and found.numel() == 1 else {}


def _count_rows(batch: object) -> float:
    return float(extract_batch_size(cast(Any, batch)))
