"""A small training under any strategy of Lightning's, on fixed global batches; a process of its own.

Usage: strategy_worker.py OUT STRATEGY DEVICES [SPEC]. STRATEGY is one of Lightning's words, a word with options
(`ddp?static_graph=1`) or a mesh, `2x2` for data parallel times tensor parallel. Every rank writes its losses and the
whole weights to OUT/rank<r>.pt. The number of nodes and which of them this is come from the environment.
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
from torch.distributed.tensor import DTensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from lightning_tying import verify
from lightning_tying.models import DecoderLM
from lightning_tying.tasks import TiedModule

STEPS, ROWS, LENGTH, VOCABULARY = 6, 8, 12, 50
SPECS: dict[str, list[Any]] = {
    "aliases": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name, cycle(l, 2)]"],
    "derived": [
        {"tie": ["embed.weight", "head.weight"]},
        {"sites": "layers.{l}.attn.{name}.weight", "equals": "mix(T[name], 2)"},
        {"sites": "layers.{l}.mlp.{name}.weight", "equals": "Q[name] + low_rank(2)"},
    ],
}


class GlobalBatches(IterableDataset[Tensor]):
    """The same global batches however many processes there are: each part takes every `parts`-th row."""

    def __init__(self, part: int, parts: int) -> None:
        self.part, self.parts = part, parts

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(3)
        for _ in range(STEPS):
            yield torch.randint(0, VOCABULARY, (ROWS, LENGTH), generator=generator)[self.part :: self.parts]


class Model(TiedModule, LightningModule):
    def __init__(self, out: Path, spec: str) -> None:
        super().__init__()
        self.out = out
        self.network = DecoderLM(vocab_size=VOCABULARY, dim=16, depth=3, heads=2)
        self.tie_network({"share": SPECS[spec]})
        self.losses: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        logits = self.network(batch[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=1e-2, eps=1e-4)

    def on_train_end(self) -> None:
        """Here and not after `fit`, which only the first of spawned processes comes back from."""
        verify(self.network)
        weights = {name: _whole(parameter.detach()) for name, parameter in self.network.named_parameters()}
        content = {"weights": weights, "losses": self.losses, "node": self.trainer.node_rank}
        torch.save(content, self.out / f"rank{self.global_rank}.pt")

    def train_dataloader(self) -> DataLoader[Tensor]:
        mesh: Any = getattr(self.trainer.strategy, "_device_mesh", None)
        if mesh is not None:
            part, parts = mesh["data_parallel"].get_local_rank(), mesh["data_parallel"].size()
        else:
            part, parts = self.global_rank, self.trainer.world_size
        return DataLoader(GlobalBatches(part, parts), batch_size=None)


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor.clone()


def make_strategy(text: str) -> Any:
    """Lightning's strategy from the word of the command line."""
    if "x" in text:
        data, tensor = (int(part) for part in text.split("x"))
        return ModelParallelStrategy(data_parallel_size=data, tensor_parallel_size=tensor)
    word, _, options = text.partition("?")
    if not options:
        return word
    chosen: dict[str, Any] = {
        name: value == "1" for name, _, value in (part.partition("=") for part in options.split("&"))
    }
    return DDPStrategy(**chosen)


def train(out: Path, strategy: str, devices: int, spec: str) -> None:
    seed_everything(1, verbose=False)
    torch.set_num_threads(1)
    model = Model(out, spec)
    trainer = Trainer(
        accelerator="cpu", devices=devices, num_nodes=int(os.environ.get("TEST_NODES", "1")),
        strategy=make_strategy(strategy), max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, gradient_clip_val=1.0,
    )  # fmt: skip
    trainer.fit(model)


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "aliases")
