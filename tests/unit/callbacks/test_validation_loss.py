"""The loss that a trial is judged by: what a validation logs, and nothing of the run is changed by measuring it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torchmetrics import MeanMetric

from lightning_tying.callbacks.adaptive.validation import measure_loss
from lightning_tying.errors import ConfigError
from tests.unit.callbacks.adaptive_runs import Tasks, fit, make_tasks


class AtTheEnd(Tasks):
    """Logs the loss when validation ends, from a metric; and keeps one of training."""

    monitor = "val/mean"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.mean, self.trained = MeanMetric(), MeanMetric()

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = super().training_step(batch, batch_idx)
        self.trained.update(loss.detach())
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.mean.update(self.find_loss(batch[0], 0.0))

    def on_validation_epoch_end(self) -> None:
        self.log("val/mean", self.mean.compute())
        self.mean.reset()


class Measure(Callback):
    def __init__(self, metric: str | None = None) -> None:
        self.metric, self.found = metric, 0.0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
        modes = [part.training for part in pl_module.modules()]
        before = pl_module.trained.compute() if hasattr(pl_module, "trained") else None
        drawn = torch.get_rng_state()
        self.found = measure_loss(trainer, pl_module, self.metric)
        assert [part.training for part in pl_module.modules()] == modes
        assert before is None or torch.equal(before, pl_module.trained.compute())
        assert torch.equal(drawn, torch.get_rng_state())
        assert trainer.training


@pytest.mark.parametrize("kind", [Tasks, AtTheEnd])
@pytest.mark.parametrize("limit", [1.0, 2])
def test_is_what_the_next_validation_logs(kind: type[Tasks], limit: float, tmp_path: Path) -> None:
    made = make_tasks("two")
    module = kind([made.get_buffer(f"wanted_task{number}") for number in range(6)], None)
    measure = Measure()
    options: dict[str, Any] = {"max_steps": 5, "limit_val_batches": limit, "val_check_interval": 5}
    trainer = fit(tmp_path, module, measure, **options)
    logged = trainer.callback_metrics["val/mean" if kind is AtTheEnd else "val/loss"]
    assert measure.found == pytest.approx(float(logged), rel=1e-6)


def test_an_unknown_metric_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"logs no 'val/accuracy' as a number.*logs val/loss"):
        fit(tmp_path, make_tasks("two"), Measure("val/accuracy"), max_steps=3)
