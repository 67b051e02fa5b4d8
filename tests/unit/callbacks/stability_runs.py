"""Small runs with GradientStability, for its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying import tie
from lightning_tying.reports.stability.history import read_history
from lightning_tying.reports.stability.record import Record

SPEC = {"share": [{"tie": ["network.0.weight", "network.2.weight"], "name": "W"}, "network.{i}.bias = b"]}
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "logger": False,
    "max_steps": 20,
}


class Net(LightningModule):
    """Two layers with one weight and one bias; remembers its losses."""

    def __init__(self, spec: Any = None, optimizer: Any = torch.optim.SGD) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
        self.losses: list[float] = []
        self.make_optimizer = optimizer
        tie(self, spec or SPEC)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = functional.mse_loss(self.network(batch[0]), batch[1])
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> Any:
        return self.make_optimizer(self.parameters(), lr=0.05)


def make_data(rows: int = 80, batch: int = 4) -> DataLoader[Any]:
    drawn = torch.Generator().manual_seed(3)
    inputs, targets = torch.randn(rows, 6, generator=drawn), torch.randn(rows, 6, generator=drawn)
    return DataLoader(TensorDataset(inputs, targets), batch_size=batch)


def fit(
    folder: Path, net: LightningModule, *callbacks: Any, ckpt_path: Any = None, rows: int = 80, **options: Any
) -> Trainer:
    trainer = Trainer(default_root_dir=folder, callbacks=list(callbacks), **(QUIET | options))
    trainer.fit(net, make_data(rows), ckpt_path=ckpt_path, weights_only=True)
    return trainer


def make_net(**options: Any) -> Net:
    torch.manual_seed(1)
    return Net(**options)


def records_of(folder: Path) -> tuple[Record, ...]:
    return read_history(folder / "stability.jsonl").records
