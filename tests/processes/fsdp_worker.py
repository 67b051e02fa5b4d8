"""Small training runs on fixed global batches, started as processes of their own by the tests, as `torchrun` would.

Usage: fsdp_worker.py OUT CASE…. With RANK and WORLD_SIZE in the environment the runs go through ModelParallelStrategy,
without them they take one process. Every case writes its losses, weights and initial values to OUT/CASE-r<rank>.pt.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, IterableDataset

from lightning_tying import get_plan, verify
from lightning_tying.models import DecoderLM
from lightning_tying.parallel.sharding.shard import shard_network
from lightning_tying.parallel.sharding.units import plan_units
from lightning_tying.tasks import TiedModule

RANK, WORLD = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
STEPS, ROWS, LENGTH, VOCABULARY = 5, 8, 10, 40
HEAD = {"tie": ["embed.weight", "head.weight"]}
MATRICES = {"sites": "layers.{l}.{name*}", "where": "ndim == 2"}
SPECS: dict[str, list[Any]] = {
    "alias": [HEAD],
    "albert": [HEAD, "layers.{l}.{name*} = block[name]"],
    "cycle": [HEAD, {**MATRICES, "equals": "block[name, cycle(l, 2)]"}],
    "delta": [HEAD, {**MATRICES, "equals": "block[name, cycle(l, 2)] + low_rank(2)"}],
    "mix": [HEAD, "layers.{l}.mlp.up.weight = mix(T, 3)"],
    "transposed": [HEAD, "layers.{l}.mlp.down.weight = t(D[l // 2])", "layers.{l}.mlp.up.weight = D[l // 2]"],
    "one": ["layers.{l}.attn.q.weight = Q"],
    "product": ["embed.weight = U", "head.weight = U * V"],
    "normal": [{**MATRICES, "equals": "block[name]", "init": {"block": "normal(0.1)"}}],
    "penalty": ["head.weight = E", {"sites": "embed.weight", "equals": "E", "penalty": 0.01}],
}


class GlobalBatches(IterableDataset[Tensor]):
    """The same global batches however many ranks there are: rank r takes every `world`-th row."""

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(3)
        for _ in range(STEPS):
            yield torch.randint(0, VOCABULARY, (ROWS, LENGTH), generator=generator)[RANK::WORLD]


class Recomputed(nn.Module):
    """A block whose activations are computed again in the backward pass."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.inner = block

    def forward(self, *arguments: Any, **options: Any) -> Any:
        return checkpoint(self.inner, *arguments, use_reentrant=False, **options)


def make_network(meta: bool, recomputed: bool) -> nn.Module:
    with torch.device("meta" if meta else "cpu"):
        network = DecoderLM(vocab_size=VOCABULARY, dim=16, depth=4, heads=2)
    if recomputed:
        network.layers = nn.ModuleList(Recomputed(layer) for layer in network.layers)
    return network


class Model(TiedModule, LightningModule):
    """`case` is a spec's name and how it is run: `delta-meta`, `mix-outside-clip`."""

    def __init__(self, case: str) -> None:
        super().__init__()
        spec, *self.ways = case.split("-")
        sharing = {"share": SPECS[spec]}
        make = partial(make_network, "meta" in self.ways, "recompute" in self.ways)
        if "outside" in self.ways:  # a parameter of the module itself, beside its network
            self.scale = nn.Parameter(torch.tensor([1.5]))
        self.tie_network(sharing, build=make)
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.start: dict[str, Tensor] = {}

    def configure_model(self) -> None:
        super().configure_model()
        self.start = whole(self)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        logits = self.network(batch[:, :-1])
        if "outside" in self.ways:
            logits = logits * self.scale
        loss = functional.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())
        self.losses.append(loss.item())
        return loss

    def configure_gradient_clipping(self, optimizer: Any, *_values: Any, **_options: Any) -> None:
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), 0.5 if "clip" in self.ways else float("inf"))
        self.norms.append(float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm))

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(GlobalBatches(), batch_size=None)


class ByHand(Model):
    """Shards itself in `configure_model`, as a LightningModule may that knows nothing of `TiedModule`."""

    def configure_model(self) -> None:
        if WORLD > 1 and not any(isinstance(module, FSDPModule) for module in self.modules()):
            self.tie_now()
            policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
            options = {"mp_policy": policy} if "policy" in self.ways else {}
            units = plan_units(get_plan(self.network).graph, self.network)
            shard_network(self.network, units, self.device_mesh["data_parallel"], **options)
        super().configure_model()


def whole(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter in full, on every rank."""
    found = {name: parameter.detach() for name, parameter in model.named_parameters()}
    full = {name: p.full_tensor() if hasattr(p, "full_tensor") else p for name, p in found.items()}
    return {name: tensor.clone() for name, tensor in full.items()}


def run(case: str, out: Path) -> None:
    seed_everything(1, verbose=False)
    model = (ByHand if "byhand" in case else Model)(case)
    strategy: Any = ModelParallelStrategy(data_parallel_size=WORLD, tensor_parallel_size=1) if WORLD > 1 else "auto"
    trainer = Trainer(
        accelerator="cpu", devices=WORLD, strategy=strategy, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        precision="bf16-mixed" if "bf16" in model.ways else "32-true",
        accumulate_grad_batches=2 if "accumulate" in model.ways else 1,
    )  # fmt: skip
    trainer.fit(model)
    verify(model.tied_network)
    found = {"losses": model.losses, "norms": model.norms, "start": model.start, "weights": whole(model)}
    torch.save(found, out / f"{case}-r{RANK}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case in sys.argv[2:]:
        run(case, Path(sys.argv[1]))
