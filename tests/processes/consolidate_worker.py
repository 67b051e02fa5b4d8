"""A tied run on one process or, under FSDP2, on two: consolidate_worker.py OUT one|two STEPS [CHECKPOINT] [SAVE].

The model has a frozen parameter before the others and two groups of its optimizer. Writes OUT: the weights at the end;
and, on two processes, OUT.rank0 and OUT.rank1: what a load of weights that conflict on the second process alone says.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying.errors import ConflictError
from lightning_tying.tasks import TiedModule

SPEC = {"share": [{"tie": ["b.weight", "d.weight"], "name": "W"}]}


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(4, 4) for _ in "abcd")
        self.a.weight.requires_grad_(False)

    def forward(self, rows: Tensor) -> Tensor:
        return self.d(self.c(self.b(self.a(rows)).tanh()).tanh())


class Net(TiedModule, LightningModule):
    def __init__(self, out: Path, check: bool) -> None:
        super().__init__()
        self.out, self.check = out, check
        torch.manual_seed(0)
        self.network = Layers()
        self.tie_network(SPEC)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return (self.network(batch[0]) - 1).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        moving = {name: p for name, p in self.named_parameters() if p.requires_grad}
        last = [p for name, p in moving.items() if ".b." in name]
        rest = [p for name, p in moving.items() if ".b." not in name]
        return torch.optim.AdamW([{"params": rest, "lr": 0.01}, {"params": last, "lr": 0.1}])

    def on_train_end(self) -> None:
        if self.check:
            state = {name: p.detach().clone() for name, p in self.network.named_parameters(remove_duplicate=False)}
            if self.global_rank == 1:
                local: Any = state["d.weight"]
                local.to_local().add_(1)
            try:
                self.network.load_state_dict(state)
                said = "loaded"
            except ConflictError:
                said = "refused"
            self.out.with_suffix(f".rank{self.global_rank}").write_text(said)


def whole(tensor: Any) -> Tensor:
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def main(out: Path, processes: str, steps: int, checkpoint: str, save: str) -> None:
    two = processes == "two"
    strategy: Any = ModelParallelStrategy(2, 1, save_distributed_checkpoint=True) if two else "auto"
    trainer = Trainer(
        accelerator="cpu", devices=2 if two else 1, strategy=strategy, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, max_steps=steps, use_distributed_sampler=False,
        default_root_dir=out.parent,
    )  # fmt: skip
    rows = torch.arange(16.0).reshape(4, 4).sin().repeat(8, 1)  # every batch is the same, on both processes
    net = Net(out, two)
    trainer.fit(net, DataLoader(TensorDataset(rows), batch_size=4), ckpt_path=checkpoint or None)
    if save:
        trainer.save_checkpoint(save)
    found = {name: whole(p.detach()).clone() for name, p in net.named_parameters()}
    if trainer.is_global_zero:
        torch.save(found, out)


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = [*sys.argv[1:], "", ""]
    main(Path(given[0]), given[1], int(given[2]), given[3], given[4])
