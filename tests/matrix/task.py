"""A case and a mode go in, a tied LightningModule that writes down its losses, norms and weights comes out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from lightning_tying import discover, get_plan, verify
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.resolve import without_wrappers
from lightning_tying.tasks import TiedModule
from tests.matrix.cases import CASES, Case
from tests.matrix.networks import ROWS
from tests.matrix.outcome import RATE, STEPS

CLIP, EPSILON = 0.5, 1e-4


def build(case: Case) -> nn.Module:
    """The untied network, with the same first values each time."""
    torch.manual_seed(7)
    return case.network()


def build_on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return CASES[name].network()


def global_batches(case: Case) -> Iterator[Tensor]:
    """One batch of 8 rows for each step, the same in every mode."""
    generator = torch.Generator().manual_seed(3)
    for _ in range(STEPS):
        yield case.draw(generator)


def make_optimizer(parameters: Any) -> torch.optim.Optimizer:
    """Epsilon is not tiny, or Adam would make steps of rounding errors where a gradient is 0 but for rounding."""
    return torch.optim.AdamW(parameters, lr=RATE, eps=EPSILON)


class GlobalBatches(IterableDataset[Tensor]):
    """The same global batches however many ranks there are: rank r takes every `world`-th row."""

    def __init__(self, name: str, rank: int, world: int, accumulate: int, done: int) -> None:
        self.name, self.rank, self.world, self.accumulate, self.done = name, rank, world, accumulate, done

    def __iter__(self) -> Iterator[Tensor]:
        for rows in islice(global_batches(CASES[self.name]), self.done, None):
            for part in rows.split(ROWS // self.accumulate):
                yield part[self.rank :: self.world]


class MatrixTask(TiedModule, LightningModule):
    """Trains one case.

    Args:
        name: of the case.
        out: where each rank writes `‹name›.rank‹r›.pt`, and the first also `‹name›.ckpt`.
        lazy: build and tie on the meta device in `configure_model`.
        keep_first: write `‹name›.first.ckpt` before the first step.
    """

    def __init__(self, name: str, out: Path, *, lazy: bool = False, keep_first: bool = False) -> None:
        super().__init__()
        self.name, self.out, self.keep_first = name, out, keep_first
        self.losses: list[Tensor] = []
        self.norms: list[Tensor] = []
        if lazy:
            self.tie_network(CASES[name].spec, build=partial(build_on_meta, name))
        else:
            self.network = build(CASES[name])
            self.tie_network(CASES[name].spec)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return CASES[self.name].loss(self.network, batch)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.losses.append(outputs["loss"].detach().clone())

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """The norm of all gradients, each shared parameter counted once, before Lightning clips."""
        gradients = [whole(p.grad) for p in self.network.parameters() if p.grad is not None]
        self.norms.append(torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt())

    def configure_optimizers(self) -> Any:
        return make_optimizer([parameter for parameter in self.parameters() if parameter.requires_grad])

    def train_dataloader(self) -> DataLoader[Tensor]:
        place = getattr(self.trainer.strategy, "distributed_sampler_kwargs", None) or {"rank": 0, "num_replicas": 1}
        accumulate = self.trainer.accumulate_grad_batches
        rows = GlobalBatches(self.name, place["rank"], place["num_replicas"], accumulate, self.trainer.global_step)
        return DataLoader(rows, batch_size=None)

    def on_train_start(self) -> None:
        super().on_train_start()
        if self.keep_first:
            self.trainer.save_checkpoint(self.out / f"{self.name}.first.ckpt")

    def on_train_end(self) -> None:
        """Here and not after `fit`, which only the first of spawned processes comes back from."""
        verify(self.network)
        self.trainer.save_checkpoint(self.out / f"{self.name}.ckpt")
        torch.save(
            {
                "losses": torch.stack(self.losses).float(),
                "norms": torch.stack(self.norms).float(),
                "weights": weights_by_name(self.network),
                "graph": describe(get_plan(self.network).graph),
                "ties": find_ties(self.network),
                "found": sorted(map(sorted, discover(self.network).partition())),
                "held_once": _held_once(self),
            },
            self.out / f"{self.name}.rank{self.global_rank}.pt",
        )


def whole(tensor: Tensor) -> Tensor:
    """A tensor with all its shards, and in memory of its own."""
    full = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor  # a DTensor has it
    return full.detach().clone()


def weights_by_name(network: nn.Module) -> dict[str, Tensor]:
    """The value of every shared parameter by its name in the spec, of every other by its FQN."""
    graph = get_plan(network).graph
    held = {without_wrappers(fqn): p for fqn, p in network.named_parameters(remove_duplicate=False)}
    shared = {str(group.name): whole(held[group.keeper]) for group in graph.groups}
    return shared | {fqn: whole(held[fqn]) for fqn, _ in graph.private}


def find_ties(network: nn.Module) -> list[list[str]]:
    """Which names are one `nn.Parameter`, by looking at the objects alone."""
    places: dict[int, list[str]] = {}
    for fqn, parameter in network.named_parameters(remove_duplicate=False):
        places.setdefault(id(parameter), []).append(without_wrappers(fqn))
    return sorted(sorted(names) for names in places.values() if len(names) > 1)


def describe(graph: SharingGraph) -> str:
    """The uses of a graph as text; without devices, which a network on meta has others of."""
    shared = [
        f"{group.name}: {[(use.place, group.gradient_factor(use)) for use in group.uses]}" for group in graph.groups
    ]
    derived = [f"{each.site} = {each.expression}" for each in graph.derived]
    return "\n".join([*shared, *derived, *(fqn for fqn, _ in graph.private)])


def _held_once(task: MatrixTask) -> bool:
    """Whether the optimizer holds each trainable parameter, each once."""
    held = [p for optimizer in task.trainer.optimizers for group in optimizer.param_groups for p in group["params"]]
    return sorted(map(id, held)) == sorted(id(p) for p in task.parameters() if p.requires_grad)
