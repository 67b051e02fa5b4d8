"""Small runs with several members for the tests of ParameterSync: float64, fixed batches, SGD or AdamW."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from lightning_tying.callbacks import ParameterSync

ROWS, BATCH, WIDTH = 24, 4, 3
MEMBERS = ("a", "b", "c")


class Rows(Dataset[dict[str, Tensor]]):
    """Rows of numbers for each member; `sizes` is how many rows of a batch item each of them has."""

    def __init__(self, sizes: dict[str, int]) -> None:
        generator = torch.Generator().manual_seed(5)
        self.rows = {
            name: torch.randn(ROWS // BATCH, size, WIDTH + 1, generator=generator, dtype=torch.float64)
            for name, size in sizes.items()
        }

    def __len__(self) -> int:
        return ROWS // BATCH

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: rows[index] for name, rows in self.rows.items()}


class Members(LightningModule):
    """Networks of one form that start alike, each with its part of every batch."""

    def __init__(self, members: tuple[str, ...] = MEMBERS, optimizer: str = "sgd", rows: Rows | None = None) -> None:
        super().__init__()
        self.rows = rows
        torch.manual_seed(3)
        first = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1)).double()
        self.models = nn.ModuleDict()
        for name in members:
            self.models[name] = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1)).double()
            self.models[name].load_state_dict(first.state_dict())
        self.optimizer = optimizer

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        if self.rows is not None:  # by step, so that a run goes on in the middle of an epoch with the right ones
            batch = self.rows[self.global_step % len(self.rows)]
        losses = [
            functional.mse_loss(self.models[name](rows[..., :WIDTH]), rows[..., WIDTH:])
            for name, rows in batch.items()
            if name in self.models
        ]
        return torch.stack(losses).sum()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.seen = {name: value.detach().clone() for name, value in self.named_parameters()}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if self.optimizer == "adamw":
            return torch.optim.AdamW(trained, lr=0.05)
        return torch.optim.SGD(trained, lr=0.1, momentum=0.9 if self.optimizer == "momentum" else 0.0)


def fit(
    module: LightningModule, sync: list[dict[str, Any]] | None, folder: Path, *, sizes: dict[str, int] | None = None,
    steps: int = 6, resume: Path | None = None, callbacks: tuple[Any, ...] = (), validate: bool = False,
) -> Trainer:  # fmt: skip
    """Train some steps; `sync` None leaves the callback out."""
    own = [] if sync is None else [ParameterSync(sync)]
    trainer = Trainer(
        accelerator="cpu", max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, callbacks=[*own, *callbacks], num_sanity_val_steps=0,
    )  # fmt: skip
    data = DataLoader(Rows(sizes or dict.fromkeys(MEMBERS, BATCH)), batch_size=None)
    trainer.fit(module, data, data if validate else None, ckpt_path=resume, weights_only=True)
    return trainer


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}
