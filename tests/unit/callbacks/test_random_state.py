"""KeepRandomState: a run that was broken off and resumed draws the same dropout as one that was not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.nn import functional

from lightning_tying.callbacks.random_state import KeepRandomState


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return functional.dropout(self.layer(batch[0]), 0.5).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Batches:
    """Two batches; a DataLoader would draw random numbers itself."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[list[Tensor]]:
        return iter([[torch.ones(4, 8)]] * 2)


def fit(folder: Path, epochs: int, checkpoint: Path | None = None) -> Tensor:
    seed_everything(1, verbose=False)
    torch.manual_seed(1)
    module, data = Net(), Batches()
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=folder, callbacks=[KeepRandomState()],
    )  # fmt: skip
    trainer.fit(module, data, ckpt_path=checkpoint)
    trainer.save_checkpoint(folder / f"{epochs}.ckpt")
    return module.layer.weight.detach().clone()


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = fit(tmp_path, 3)
    fit(tmp_path, 2)
    assert fit(tmp_path, 3, tmp_path / "2.ckpt").equal(whole)
