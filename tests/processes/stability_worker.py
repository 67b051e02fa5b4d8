"""Runs with GradientStability on fixed global batches, started as processes of their own by the tests.

Usage: stability_worker.py OUT CASE…. A case is a strategy and what the callback does: `ddp-none`, `single-exact`,
`fsdp2-sketch`, `ddp-norm_balanced`. Every case writes losses and weights to OUT/CASE-r<rank>.pt, records to OUT/CASE/.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from lightning_tying.callbacks.gradient_stability import GradientStability
from lightning_tying.models import DecoderLM
from lightning_tying.tasks import TiedModule

RANK, WORLD = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
STEPS, ROWS, LENGTH, VOCABULARY = 4, 8, 10, 40
SPEC = {"share": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name, cycle(l, 2)]"]}


class GlobalBatches(IterableDataset[Tensor]):
    """The same global batches however many ranks there are: rank r of those that share them takes every n-th row."""

    def __init__(self, ranks: int) -> None:
        self.ranks = ranks

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(3)
        for _ in range(STEPS):
            yield torch.randint(0, VOCABULARY, (ROWS, LENGTH), generator=generator)[RANK % self.ranks :: self.ranks]


class Model(TiedModule, LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.tie_network(SPEC, build=make_network)
        self.losses: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        logits = self.network(batch[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


def make_network() -> DecoderLM:
    return DecoderLM(vocab_size=VOCABULARY, dim=16, depth=4, heads=2)


def make_callbacks(word: str, folder: Path) -> list[Any]:
    if word == "none":
        return []
    if word in ("sketch", "exact"):
        return [GradientStability(1, pairs=word, folder=folder, report=False)]  # pyright: ignore[reportArgumentType]  # a word of its own
    return [GradientStability(1, combine=word, folder=folder, report=False)]


def run(case: str, out: Path) -> None:
    kind, _, word = case.partition("-")
    strategies: dict[str, Any] = {
        "ddp": lambda: DDPStrategy(process_group_backend="gloo"),
        "fsdp2": lambda: ModelParallelStrategy(data_parallel_size=WORLD, tensor_parallel_size=1),
        "tensor": lambda: ModelParallelStrategy(data_parallel_size=1, tensor_parallel_size=WORLD),
    }
    strategy = strategies[kind]() if kind in strategies else "auto"
    seed_everything(1, verbose=False)
    module = Model()
    trainer = Trainer(
        accelerator="cpu", devices=WORLD, strategy=strategy, max_epochs=1, logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, default_root_dir=out, use_distributed_sampler=False,
        callbacks=make_callbacks(word, out / case),
    )  # fmt: skip
    trainer.fit(module, DataLoader(GlobalBatches(1 if kind == "tensor" else WORLD), batch_size=None))
    weights = {name: getattr(each, "full_tensor", lambda each=each: each)() for name, each in module.named_parameters()}
    torch.save(
        {"losses": module.losses, "weights": {k: v.detach() for k, v in weights.items()}}, out / f"{case}-r{RANK}.pt"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in sys.argv[2:]:
        run(each, Path(sys.argv[1]))
