"""A small training run on fixed global batches, started as a process of its own by the tests.

Usage: worker.py OUT DEVICES [STRATEGY [SPEC]]. Every rank writes its weights and losses to OUT/rank<r>.pt.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from lightning_tying import verify
from lightning_tying.models import DecoderLM
from lightning_tying.tasks import TiedModule

STEPS, ROWS, LENGTH, VOCABULARY = 6, 8, 12, 50
SPECS = {
    "aliases": {"share": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name, cycle(l, 2)]"]},
    "derived": {
        "share": [
            {
                "sites": "layers.{l}.{name*}",
                "equals": "block[name, cycle(l, 2)] + low_rank(2)",
                "where": "ndim == 2",
                "grad": "mean",
            },
            "head.weight = E",
            {"sites": "embed.weight", "equals": "E", "penalty": 0.01},
        ]
    },
}


class GlobalBatches(IterableDataset[Tensor]):
    """The same global batches however many ranks there are: rank r takes every `world`-th row."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(3)
        for _ in range(STEPS):
            rows = torch.randint(0, VOCABULARY, (ROWS, LENGTH), generator=generator)
            yield rows[self.rank :: self.world]


class Model(TiedModule, LightningModule):
    def __init__(self, out: Path, spec: str) -> None:
        super().__init__()
        self.out = out
        self.network = DecoderLM(vocab_size=VOCABULARY, dim=16, depth=4, heads=2)
        self.tie_network(SPECS[spec])
        self.losses: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        logits = self.network(batch[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)

    def on_train_end(self) -> None:
        """Here and not after `fit`, which only the first of spawned processes comes back from."""
        verify(self.network)
        weights = {name: parameter.detach() for name, parameter in self.network.named_parameters()}
        torch.save({"weights": weights, "losses": self.losses}, self.out / f"rank{self.global_rank}.pt")

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(GlobalBatches(self.global_rank, self.trainer.world_size), batch_size=None)


def train(out: Path, devices: int, strategy: str, spec: str) -> None:
    seed_everything(1, verbose=False)
    torch.set_num_threads(1)
    model = Model(out, spec)
    trainer = Trainer(
        accelerator="cpu", devices=devices, strategy=strategy, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(model)
    verify(model.network)
    written = torch.load(out / f"rank{model.global_rank}.pt", weights_only=True)[
        "weights"
    ]  # rank 0's may be unfinished
    assert all(torch.equal(written[name], parameter) for name, parameter in model.network.named_parameters())


if __name__ == "__main__":
    strategy, spec = (*sys.argv[3:], *("auto", "aliases")[len(sys.argv) - 3 :])
    train(Path(sys.argv[1]), int(sys.argv[2]), strategy, spec)
