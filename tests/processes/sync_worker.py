"""Runs of processes that train apart, started as processes of their own by the tests.

Usage: sync_worker.py OUT CASE…. Every case writes weights, what was handed over, and what a hook saw DDP reduce, to
OUT/CASE-r<rank>.pt.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from lightning_tying.callbacks import ParameterSync
from lightning_tying.errors import ConfigError

RANK, WORLD = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
STEPS, ROWS, WIDTH = 8, 4, 3
GOSSIP = [[0.75, 0.25], [0.25, 0.75]]
CASES: dict[str, tuple[dict[str, Any] | None, str]] = {
    "ddp": (None, "sgd"),
    "each-step": ({"every": 1}, "sgd"),
    "local": ({"every": 4}, "sgd"),
    "samples": ({"every": 4, "weights": "samples"}, "sgd"),
    "gossip": ({"every": 8, "weights": GOSSIP}, "sgd"),
    "adamw": ({"every": 3, "moments": "average"}, "adamw"),
    "resumed": ({"every": 3, "moments": "average"}, "adamw"),
    "refused": ({"every": 3, "weights": [1, 2, 3]}, "sgd"),
}


class Rows(Dataset[Tensor]):
    """The rows of one process; with `samples` the second has fewer."""

    def __init__(self, rank: int, case: str = "") -> None:
        generator = torch.Generator().manual_seed(11 + rank)
        rows = ROWS - 2 * rank if case == "samples" else ROWS
        self.rows = torch.randn(STEPS, rows, WIDTH + 1, generator=generator, dtype=torch.float64)

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> Tensor:
        return self.rows[index]


class SaveAtFive(Callback):
    """Stands behind ParameterSync, as Lightning's own savers do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *rest: Any) -> None:
        if trainer.global_step == 5 and not self.path.exists():
            trainer.save_checkpoint(self.path)


class Model(LightningModule):
    def __init__(self, optimizer: str = "sgd", rows: Rows | None = None) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.network = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1)).double()
        self.optimizer, self.rows = optimizer, rows
        self.reduced = 0

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        if self.rows is not None:  # by step, so that a resumed run has the right ones
            batch = self.rows[self.global_step % STEPS]
        return functional.mse_loss(self.network(batch[:, :WIDTH]), batch[:, WIDTH:])

    def on_train_start(self) -> None:
        model = self.trainer.strategy.model
        if isinstance(model, nn.parallel.DistributedDataParallel):
            model.register_comm_hook(self, count_and_reduce)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.optimizer == "adamw":
            return torch.optim.AdamW(self.parameters(), lr=0.05)
        return torch.optim.SGD(self.parameters(), lr=0.1)


def count_and_reduce(state, bucket):  # torch reads annotations, and wants classes there
    """DDP's own reduction, with the bytes that it is given counted."""
    state.reduced += bucket.buffer().nbytes
    return allreduce_hook(None, bucket)  # pyright: ignore[reportArgumentType]  # None is the default group


def make_trainer(case: str, out: Path, sync: dict[str, Any] | None) -> tuple[Trainer, ParameterSync | None]:
    entry = {"sync": "**", "how": "average", "over": "ranks"}
    callback = None if sync is None else ParameterSync([{**entry, **sync}])
    callbacks = [] if callback is None else [callback, SaveAtFive(out / "at5.ckpt")] if case == "adamw" else [callback]
    trainer = Trainer(
        accelerator="cpu", devices=WORLD, strategy=DDPStrategy(process_group_backend="gloo"), max_steps=STEPS,
        logger=False, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        default_root_dir=out, use_distributed_sampler=False, callbacks=callbacks,
    )  # fmt: skip
    return trainer, callback


def run(case: str, out: Path) -> None:
    sync, optimizer = CASES[case]
    rows = Rows(RANK, case)
    module = Model(optimizer, rows)
    data = DataLoader(rows, batch_size=None)
    error = ""
    trainer, callback = make_trainer(case, out, sync)
    path = out / "at5.ckpt"  # between two rounds, written by the run of the case adamw
    try:
        trainer.fit(module, data, ckpt_path=path if case == "resumed" else None, weights_only=True)
    except ConfigError as caught:
        error = str(caught)
    traffic = None if callback is None else callback.traffic.state_dict()
    weights = {name: value.detach() for name, value in module.named_parameters()}
    found = {"weights": weights, "traffic": traffic, "reduced": module.reduced}
    torch.save({**found, "error": error}, out / f"{case}-r{RANK}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in sys.argv[2:]:
        run(each, Path(sys.argv[1]))
