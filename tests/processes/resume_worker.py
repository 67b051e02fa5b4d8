"""Runs of one tied model under several strategies, in one process or as one of two, started by the tests.

Usage: resume_worker.py OUT JOBS, with the variables of torchrun; JOBS is JSON, a list of jobs. Every rank writes what
a job gave to OUT/<name>.<rank>.pt: losses of its part of the batches, and on rank 0 weights and moments by name.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from lightning_tying import verify
from lightning_tying.models import DecoderLM
from lightning_tying.tasks import TiedModule

STEPS, SAVED, ROWS, LENGTH, VOCABULARY = 6, 3, 8, 12, 48
SPECS: dict[str, dict[str, Any]] = {
    "aliases": {"share": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name, cycle(l, 2)]"]},
    "derived": {  # with a frozen parameter and a group of its own in the optimizer: numbers that are not in model order
        "share": [
            {
                "sites": "layers.{l}.{name*}",
                "equals": "block[name, cycle(l, 2)] + low_rank(2)",
                "where": "ndim == 2",
                "init": {"block": "mean", "low_rank": "svd"},
            },
            {"tie": ["embed.weight", "head.weight"], "name": "E"},
            {"sites": "layers.{l}.{name*}", "equals": "norms[name]", "where": "ndim == 1"},
        ],
        "parameters": {"E": {"lr": 0.5}, "norms": {"frozen": True}},
    },
}


class Job(TypedDict):
    """One run: under `strategy`, from the file `start` (or from the beginning), its third step saved as `save`."""

    name: str
    spec: str
    strategy: str
    start: str | None
    save: str | None


class GlobalBatches(IterableDataset[Tensor]):
    """The same global batches however many ranks there are, from a step on: rank r takes every `world`-th row."""

    def __init__(self, start: int, rank: int, world: int) -> None:
        self.start, self.rank, self.world = start, rank, world

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(3)
        batches = [torch.randint(0, VOCABULARY, (ROWS, LENGTH), generator=generator) for _ in range(STEPS)]
        for rows in batches[self.start :]:
            yield rows[self.rank :: self.world]


class Model(TiedModule, LightningModule):
    def __init__(self, spec: str) -> None:
        super().__init__()
        self.network = DecoderLM(vocab_size=VOCABULARY, dim=16, depth=4, heads=2)
        self.tie_network(SPECS[spec])
        self.losses: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        logits = self.network(batch[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> Any:
        named = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        inside = [parameter for name, parameter in named if "layers" in name]
        others = [parameter for name, parameter in named if "layers" not in name]
        return torch.optim.AdamW([{"params": inside[::-1]}, {"params": others, "lr": 5e-3}], lr=1e-2)

    def train_dataloader(self) -> DataLoader[Tensor]:
        trainer = self.trainer
        return DataLoader(GlobalBatches(trainer.global_step, self.global_rank, trainer.world_size), batch_size=None)


class SaveOnce(Callback):
    """Saves the third step, in the middle of the run."""

    def __init__(self, path: str | None) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Trainer, *_arguments: Any) -> None:
        if self.path is not None and trainer.global_step == SAVED:
            trainer.save_checkpoint(self.path)


def make_strategy(name: str) -> Any:
    if name == "ddp":
        return DDPStrategy(process_group_backend="gloo")
    if name in ("full", "sharded"):
        return ModelParallelStrategy(
            data_parallel_size=2, tensor_parallel_size=1, save_distributed_checkpoint=name == "sharded"
        )
    return "auto"


def run(job: Job) -> dict[str, Any]:
    seed_everything(1, verbose=False)
    model = Model(job["spec"])
    trainer = Trainer(
        accelerator="cpu", devices=1 if job["strategy"] == "single" else 2, strategy=make_strategy(job["strategy"]),
        max_steps=STEPS, max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, callbacks=[SaveOnce(job["save"])],
    )  # fmt: skip
    trainer.fit(model, ckpt_path=job["start"])
    verify(model.network)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    moments = {
        f"{names[id(parameter)]}.{key}": whole(value)
        for parameter, state in trainer.optimizers[0].state.items()
        for key, value in state.items()
    }
    weights = {name: whole(parameter) for name, parameter in model.named_parameters()}
    return {"losses": model.losses, "weights": weights, "moments": moments}


def whole(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).clone()


def main(out: Path, jobs: list[Job]) -> None:
    torch.set_num_threads(1)
    for job in jobs:
        torch.save(run(job), out / f"{job['name']}.{os.environ.get('RANK', '0')}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
