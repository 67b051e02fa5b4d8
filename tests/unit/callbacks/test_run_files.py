"""RunCheckpoint and PlainProgress: the last step is saved, progress is a few lines."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying.callbacks.plain_progress import PlainProgress
from lightning_tying.callbacks.run_checkpoint import RunCheckpoint
from lightning_tying.callbacks.save_on_interrupt import SaveOnInterrupt


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.layer(batch[0]).square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.layer(batch[0]).square().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(callbacks: list[Any], tmp_path: Path, **options: Any) -> Trainer:
    data = DataLoader(TensorDataset(torch.randn(40, 4)), batch_size=4)
    given = {"max_steps": 7, "val_check_interval": 3, "limit_val_batches": 1, **options}
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_model_summary=False, default_root_dir=tmp_path, callbacks=callbacks,
        **given,
    )  # fmt: skip
    trainer.fit(Net(), data, data)
    return trainer


def test_the_last_checkpoint_is_of_the_last_step(tmp_path: Path) -> None:
    fit([RunCheckpoint(tmp_path, "val/loss"), PlainProgress()], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 7
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["global_step"] in (3, 6)


def test_fast_dev_run_writes_no_checkpoint(tmp_path: Path) -> None:
    fit([RunCheckpoint(tmp_path, "val/loss"), PlainProgress()], tmp_path, fast_dev_run=True, val_check_interval=None)
    assert list(tmp_path.iterdir()) == []


def test_plain_progress_prints_a_few_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit([PlainProgress(lines=3)], tmp_path, enable_checkpointing=False)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("step", "validation"))]
    assert [line.split("  ")[0] for line in lines] == [
        "step 2/7", "validation at step 3", "step 4/7", "step 6/7", "validation at step 6", "step 7/7",
    ]  # fmt: skip


def test_an_interrupt_saves_the_step_that_ended(tmp_path: Path) -> None:
    class Interrupting(SaveOnInterrupt):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
            if batch_idx == 2:
                self._receive(2, None)

    saver = Interrupting(tmp_path)
    with pytest.raises(SystemExit):
        fit([saver, PlainProgress()], tmp_path, enable_checkpointing=False, val_check_interval=None)
    assert saver.saved == tmp_path / "last.ckpt"
    assert torch.load(saver.saved, weights_only=True)["global_step"] == 3
    assert pickle.loads(pickle.dumps(saver.__getstate__()))["_before"] is None
