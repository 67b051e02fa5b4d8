"""What does measuring cost? A run with both callbacks against one without, and a sampled step against K backwards."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from benchmarks.measure import Timing, ratio_by_round, time_in_turn, write_result
from benchmarks.sharing_decoder import DecoderSize, make_decoder, make_trainer
from lightning_tying import get_plan, tie
from lightning_tying.callbacks.gradient_stability import GradientStability
from lightning_tying.callbacks.parameter_savings import ParameterSavings
from lightning_tying.callbacks.stability.sample import make_sink
from lightning_tying.gradients.catch import catch_uses
from lightning_tying.lowering.resolve import find_slots
from lightning_tying.reports.stability.record import Pairs

PAIRS: tuple[Pairs, ...] = ("none", "sketch", "exact")
SPEC = """
share:
  - tie: [embed.weight, head.weight]
  - layers.{l}.{name*} = block[name, cycle(l, 2)]
"""


DECODER = DecoderSize(dim=256, depth=8, vocabulary=8000, rows=16, length=128)


@dataclass(frozen=True)
class Size:
    """How much is run; the small one shows that it runs."""

    decoder: DecoderSize = DECODER
    steps: int = 50
    rounds: int = 8
    fits: int = 2


SMALL = Size(DecoderSize(dim=32, depth=4, vocabulary=200, rows=4, length=32), steps=10, rounds=3, fits=2)


# ruff: noqa: ARG002  # Lightning's hooks have the arguments that they have


class Model(LightningModule):
    """The default Transformer: a decoder of two blocks in turn, head tied to the embedding; AdamW."""

    def __init__(self, size: DecoderSize) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network: nn.Module = make_decoder(size)
        tie(self.network, SPEC)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return find_loss(self.network, batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


class Tokens(IterableDataset[Tensor]):
    def __init__(self, size: DecoderSize) -> None:
        drawn = torch.Generator().manual_seed(1)
        self.batch = torch.randint(0, size.vocabulary, (size.rows, size.length + 1), generator=drawn)

    def __iter__(self) -> Any:
        while True:
            yield self.batch


def find_loss(network: nn.Module, batch: Tensor) -> Tensor:
    logits = network(batch[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


def time_run(size: Size, callbacks: list[Any]) -> float:
    """Seconds from the first batch to the last one of a fit: what comes before is not throughput."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(folder, size.steps, [clock := Clock(), *callbacks])
        trainer.fit(Model(size.decoder), DataLoader(Tokens(size.decoder), batch_size=None))
    return clock.end - clock.start


class Clock(Callback):
    """The time of the first batch and of the end of training."""

    start = end = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.end = time.perf_counter()


def compare_runs(size: Size) -> dict[str, Timing]:
    """Fits with and without both callbacks, in turn."""
    seconds: dict[str, list[float]] = {"without": [], "with both callbacks": []}
    for number in range(size.fits + 1):  # the first round is thrown away
        for name in sorted(seconds, reverse=bool(number % 2)):
            callbacks = [] if name == "without" else [ParameterSavings(show=False), GradientStability()]
            found = time_run(size, callbacks)
            if number:
                seconds[name].append(found)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


class Steps:
    """One step of one kind, on one model."""

    def __init__(self, size: DecoderSize) -> None:
        self.module = Model(size)
        self.optimizer = torch.optim.AdamW(self.module.parameters(), lr=1e-3)
        self.batch = next(iter(Tokens(size)))
        self.groups = [group for group in get_plan(self.module.network).graph.groups if len(group.uses) > 1]

    def plain(self) -> None:
        self.optimizer.zero_grad()
        find_loss(self.module.network, self.batch).backward()
        self.optimizer.step()

    def sampled(self, pairs: Pairs) -> Callable[[], None]:
        def run() -> None:
            sink = make_sink(pairs)
            self.optimizer.zero_grad()
            with catch_uses(self.module, sink=sink):
                find_loss(self.module.network, self.batch).backward()
            sink.finish()
            self.optimizer.step()

        return run

    def brute_force(self) -> None:
        """One backward pass for each of the most uses of a group; the other uses hold copies without gradient."""
        most = max(len(group.uses) for group in self.groups)
        network = self.module.network
        slots = find_slots(network, [place for group in self.groups for place in group.places])
        shared = {place: slot.read() for place, slot in slots.items()}
        for number in range(most):
            self.optimizer.zero_grad()
            for group in self.groups:
                for place in (place for each, place in enumerate(group.places) if each != number):
                    slots[place].write(nn.Parameter(shared[place].detach(), requires_grad=False))
            find_loss(network, self.batch).backward()
            for place, slot in slots.items():
                slot.write(shared[place])
        self.optimizer.step()


def count_extra(size: DecoderSize, pairs: Pairs) -> int:
    """Bytes that the sink holds when the backward pass has ended, by what it keeps."""
    steps = Steps(size)
    sink = make_sink(pairs)
    with catch_uses(steps.module, sink=sink):
        find_loss(steps.module.network, steps.batch).backward()
    return sum(each.untyped_storage().nbytes() for each in _list_tensors(vars(sink)))


def _list_tensors(content: Any) -> list[Tensor]:
    if isinstance(content, Tensor):
        return [content]
    if isinstance(content, dict):
        return [found for each in content.values() for found in _list_tensors(each)]
    return []


def main(size: Size = Size()) -> None:
    runs = compare_runs(size)
    steps = Steps(size.decoder)
    timings = time_in_turn(
        {
            "plain": steps.plain,
            "sampled, streaming (default)": steps.sampled("none"),
            "sampled, sketch": steps.sampled("sketch"),
            "sampled, exact": steps.sampled("exact"),
            "brute force": steps.brute_force,
        },
        rounds=size.rounds,
    )
    largest = max(group.meta.numel * group.meta.itemsize for group in steps.groups)
    lines = [
        f"| {name} | {timing} | {ratio_by_round(timing, timings['plain']).median:.3f} |"
        for name, timing in timings.items()
    ]
    memory = [
        f"| {pairs} | {held / 2**20:.2f} MiB | {held / largest:.2f} |"
        for pairs in PAIRS
        for held in [count_extra(size.decoder, pairs)]
    ]
    throughput = ratio_by_round(runs["without"], runs["with both callbacks"])
    low, high = throughput.spread
    uses = max(len(group.uses) for group in steps.groups)
    write_result(
        "stability",
        "What measuring the uses of shared parameters costs",
        f"{size.decoder}, AdamW; cycle over two blocks: {len(steps.groups)} sharing groups of up to {uses} uses.\n\n"
        f"Throughput of {size.steps} steps with both callbacks at their defaults, over that without: "
        f"**{throughput.median:.3f}** (quartiles {low:.3f} … {high:.3f}; {size.fits} pairs of fits in turn).\n\n"
        "| step | time | over a plain one |\n|---|---|---|\n" + "\n".join(lines) + "\n\n"
        f"Brute force is one forward and backward pass for each of up to {uses} uses.\n\n"
        "What a sink holds at the end of the backward pass, over the largest shared parameter "
        f"({largest / 2**20:.2f} MiB):\n\n| pairs | held | copies |\n|---|---|---|\n" + "\n".join(memory),
    )


if __name__ == "__main__":
    main(SMALL if "--small" in sys.argv else Size())
