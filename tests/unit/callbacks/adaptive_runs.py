"""Small runs whose best sharing is known, for the tests of AdaptiveSharing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying.tasks import TiedModule

WIDTH, TASKS = 12, 6
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "logger": False,
    "max_steps": 120,
    "num_sanity_val_steps": 0,
}
SHARED = {"share": ["{task}.trunk.weight = trunk"]}


class Tasks(TiedModule, LightningModule):
    """Six networks that train one trunk, each with a head of its own that is fixed.

    Args:
        wanted: of each task, what its trunk should be; the labels have noise of their own.
        sharing: the spec.
    """

    def __init__(self, wanted: Sequence[Tensor], sharing: Any = None) -> None:
        super().__init__()
        names = [f"task{number}" for number in range(len(wanted))]
        self.network = nn.ModuleDict(
            {
                name: nn.ModuleDict({"trunk": nn.Linear(WIDTH, WIDTH, bias=False), "head": nn.Linear(WIDTH, 2 * WIDTH)})
                for name in names
            }
        )
        for name, matrix in zip(names, wanted, strict=True):
            self.register_buffer(f"wanted_{name}", matrix)
        self.losses: list[float] = []
        self.tie_network(sharing)

    def find_loss(self, inputs: Tensor, noise: float) -> Tensor:
        total = torch.zeros(())
        for name, task in self.network.items():
            wanted = task["head"](inputs @ self.get_buffer(f"wanted_{name}").T).detach()
            total = total + functional.mse_loss(
                task["head"](task["trunk"](inputs)), wanted + noise * torch.randn_like(wanted)
            )
        return total

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self.find_loss(batch[0], 0.1)
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.find_loss(batch[0], 0.0))

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam((each for each in self.parameters() if each.requires_grad), lr=0.01)


def plant(kind: str) -> list[Tensor]:
    """What six tasks want: `agree`, the same; `two` others want the opposite; `apart`, those two pull apart as well."""
    common, other = torch.randn(WIDTH, WIDTH), torch.randn(WIDTH, WIDTH)
    if kind == "agree":
        return [common] * TASKS
    if kind == "two":
        return [common] * 4 + [-common] * 2
    # three directions at 120 degrees, so that each two have a cosine of -0.5
    other = other - (other * common).sum() / common.square().sum() * common
    other = other / other.norm() * common.norm()
    return [common] * 4 + [-common / 2 + 3**0.5 / 2 * other, -common / 2 - 3**0.5 / 2 * other]


def make_data(rows: int = 320, batch: int = 16) -> DataLoader[Any]:
    drawn = torch.Generator().manual_seed(5)
    return DataLoader(TensorDataset(torch.randn(rows, WIDTH, generator=drawn)), batch_size=batch)


def make_tasks(kind: str, seed: int = 0, sharing: Any = SHARED) -> Tasks:
    seed_everything(seed, verbose=False)
    module = Tasks(plant(kind), sharing)
    for task in module.network.values():
        task["head"].requires_grad_(False)
    return module


def fit(folder: Path, module: LightningModule, *callbacks: Any, ckpt_path: Any = None, **options: Any) -> Trainer:
    trainer = Trainer(default_root_dir=folder, callbacks=list(callbacks), **(QUIET | options))
    trainer.fit(module, make_data(), make_data(64), ckpt_path=ckpt_path, weights_only=True)
    return trainer


def sites(*numbers: int) -> tuple[str, ...]:
    return tuple(f"task{number}.trunk.weight" for number in numbers)
