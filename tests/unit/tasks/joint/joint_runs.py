"""Small members, their data, and one call that trains them: what the tests of joint training share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn

from lightning_tying.data.row_data import RowData
from lightning_tying.data.row_source import TensorRows
from lightning_tying.tasks import Classification, JointTraining

HARD = {"share": ["models.{m}.trunk.{name*} = trunk[name]"]}
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


class TrunkAndHead(nn.Module):
    """A trunk of two layers and a head, in float64."""

    def __init__(self, classes: int, inputs: int = 6, width: int = 8) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.head = nn.Linear(width, classes)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x))


class Rows(RowData):
    """Random rows with labels, 40 to train on and 12 each for validation and test."""

    def __init__(self, classes: int, seed: int, rows: int = 40, batch_size: int = 8, inputs: int = 6) -> None:
        super().__init__(batch_size, None, seed)
        generator = torch.Generator().manual_seed(seed)
        self.classes = [f"class {place}" for place in range(classes)]
        self.sizes = {"train": rows, "val": 12, "test": 12}
        self.tensors = {
            split: TensorRows(
                torch.randn(size, inputs, generator=generator, dtype=torch.float64),
                torch.randint(classes, (size,), generator=generator),
            )
            for split, size in self.sizes.items()
        }

    def rows(self, split: Any) -> TensorRows:
        return self.tensors[split]


def sgd(params: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.1, momentum=0.9)


def make_joint(sharing: Any = HARD, **options: Any) -> JointTraining:
    """Two members with 3 and 5 classes."""
    members: dict[str, LightningModule] = {
        "a": Classification(TrunkAndHead(3)),
        "b": Classification(TrunkAndHead(5)),
    }
    return JointTraining(members, sharing, **{"optimizer": sgd, **options})


def make_data() -> dict[str, LightningDataModule]:
    """Data of the two, of different sizes."""
    return {"a": Rows(3, 1), "b": Rows(5, 2, rows=24)}


def run(
    folder: Path,
    model: LightningModule,
    data: LightningDataModule,
    *callbacks: Any,
    ckpt_path: Any = None,
    **options: Any,
) -> Trainer:
    """Train, without validation unless it is asked for."""
    given = {**QUIET, "limit_val_batches": 0, "max_epochs": 2, "default_root_dir": folder, **options}
    trainer = Trainer(callbacks=list(callbacks), **given)
    trainer.fit(model, data, ckpt_path=ckpt_path, weights_only=True)
    return trainer
