"""A run under FSDP2 on two processes, started as a process of its own: sharded_run_worker.py OUT STEPS sharded|full.

It goes on from the newest checkpoint in OUT and prints what lies there at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying.callbacks import KeepRandomState, RunCheckpoint
from lightning_tying.commands.newest_checkpoint import find_newest
from lightning_tying.plugins import AtomicCheckpoints


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)

    def configure_model(self) -> None:
        for layer in (self.one, self.two):
            fully_shard(layer, mesh=self.device_mesh["data_parallel"])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.two(self.one(batch[0])).square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.training_step(batch, batch_idx), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters())


def main(out: Path, steps: int, sharded: bool) -> None:
    newest = find_newest([out])
    strategy = ModelParallelStrategy(2, 1, save_distributed_checkpoint=sharded)
    trainer = Trainer(
        accelerator="cpu", devices=2, strategy=strategy, logger=False, enable_progress_bar=False, max_steps=steps,
        enable_model_summary=False, val_check_interval=2, default_root_dir=out, plugins=[AtomicCheckpoints()],
        callbacks=[KeepRandomState(), RunCheckpoint(out, "val/loss", every_n_steps=1)],
    )  # fmt: skip
    data = DataLoader(TensorDataset(torch.randn(32, 8)), batch_size=4)
    trainer.fit(Net(), data, data, ckpt_path=newest)
    if trainer.is_global_zero:
        print("END", trainer.global_step, *sorted(p.name + "/" * p.is_dir() for p in out.iterdir()), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "sharded")
