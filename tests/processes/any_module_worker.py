"""A module that knows nothing of this package, tied and trained on two spawned processes.

Usage: any_module_worker.py OUT LAZY STRATEGY. Writes OUT: what the main process has afterwards.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying import verify
from lightning_tying.tasks.tie_any import tie_any

SPEC = {"share": [{"tie": ["net.0.weight", "net.2.weight"]}, "net.4.weight = t(W)", "net.6.weight = W"]}


class Plain(LightningModule):
    def __init__(self, lazy: bool) -> None:
        super().__init__()
        self.ranks: list[float] = []
        if not lazy:
            self.build()

    def build(self) -> None:
        layers = (layer for _ in range(4) for layer in (nn.Linear(4, 4), nn.Tanh()))
        self.net = nn.Sequential(*layers)

    def configure_model(self) -> None:
        if not hasattr(self, "net"):
            seed_everything(1, verbose=False)
            self.build()

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return (self.net(batch[0]) - 1).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_train_end(self) -> None:
        flat = torch.cat([each.detach().flatten() for each in self.parameters()])
        gathered: Any = self.all_gather(flat)
        assert torch.equal(gathered[0], gathered[1]), "the processes have different weights"
        verify(self)


def main(out: Path, lazy: bool, strategy: str) -> None:
    torch.set_num_threads(1)
    seed_everything(0, verbose=False)
    module = Plain(lazy)
    tie_any(module, SPEC)
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", devices=2, strategy=strategy, logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=out,
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(torch.randn(32, 4)), batch_size=4))
    if lazy and not hasattr(module, "net"):
        module.configure_model()
    if trainer.global_rank == 0:
        (checkpoint,) = out.rglob("*.ckpt")
        content = torch.load(checkpoint, weights_only=True)
        verify(module)
        tied = module.net[0].weight is module.net[2].weight
        result = {"tied": tied, "step": content["global_step"], "spec": content["sharing"]["spec"]}
        torch.save(result, out / "result.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "lazy", sys.argv[3])
