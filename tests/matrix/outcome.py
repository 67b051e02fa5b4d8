"""The files of a worker go in; what one run of one case gave, as one process would have seen it, comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

RATE, STEPS = 1e-2, 20  # of every run


@dataclass(frozen=True)
class Outcome:
    """A training run.

    Args:
        losses: of each step, over the global batch.
        norms: of all gradients of each step, before they are clipped.
        weights: at the end, shared parameters by name, others by FQN.
        graph: the plan's, and the ties that the module itself shows, as data to be compared.
        faults: what is wrong whatever the reference did.
        refusal: the message of a refusal, or of a failure; the rest is empty then.
    """

    losses: Tensor
    norms: Tensor
    weights: Mapping[str, Tensor]
    graph: tuple[object, ...] = ()
    faults: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(frozen=True)
class Difference:
    """How far a run is from the reference: the largest differences, relative to the largest value of each."""

    losses: float
    norms: float
    weights: float
    faults: tuple[str, ...] = field(default=())

    @property
    def worst(self) -> float:
        return max(self.losses, self.norms, self.weights)


def read_outcome(out: Path, name: str, processes: int, accumulate: int = 1) -> Outcome | None:
    """What a worker wrote; None where it wrote nothing."""
    error = out / f"{name}.error.txt"
    if error.is_file():
        return refused(error.read_text(encoding="utf-8"))
    files = [out / f"{name}.rank{rank}.pt" for rank in range(processes)]
    if not all(file.is_file() for file in files):
        return None
    ranks = [torch.load(file, weights_only=True) for file in files]
    first = ranks[0]
    # Lightning gives a micro batch's loss divided by their number
    losses = torch.stack([rank["losses"].view(-1, accumulate).sum(1) for rank in ranks]).mean(0)
    graph = (first["graph"], first["ties"], first["found"])
    return Outcome(losses, first["norms"], first["weights"], graph, tuple(_find_faults(ranks)))


def refused(message: str) -> Outcome:
    """A run that there was none of."""
    return Outcome(torch.empty(0), torch.empty(0), {}, refusal=message)


def compare(found: Outcome, reference: Outcome, *, graphs: bool = True) -> Difference:
    """Compare two runs; `graphs` where both have one."""
    faults = list(found.faults)
    if graphs and found.graph != reference.graph:
        faults.append("another graph")
    if found.weights.keys() != reference.weights.keys():
        faults.append("other parameters")
    pairs = [(weight, reference.weights[name]) for name, weight in found.weights.items() if name in reference.weights]
    weights = max((distance(*pair, least=STEPS * RATE) for pair in pairs), default=float("inf"))
    return Difference(
        distance(found.losses, reference.losses), distance(found.norms, reference.norms), weights, tuple(faults)
    )


def distance(found: Tensor, expected: Tensor, least: float = 1e-12) -> float:
    """The largest difference, relative to the largest value; infinite where the shapes differ.

    Args:
        found: what is compared.
        expected: what it should be.
        least: what it is relative to where all values are smaller. For weights that is as far as all steps can carry
            them: a bias of attention's keys has no gradient but rounding errors, and is nothing but their sum.
    """
    if found.shape != expected.shape:
        return float("inf")
    largest = max(float(expected.abs().max()), least)
    gap = float((found.double() - expected.double()).abs().max()) / largest
    return gap if gap == gap else float("inf")  # a NaN is as far as can be


def _find_faults(ranks: list[dict]) -> list[str]:
    faults: list[str] = []
    if not all(rank["held_once"] for rank in ranks):
        faults.append("the optimizer does not hold each parameter once")
    first = ranks[0]
    for rank in ranks[1:]:
        if any(not torch.equal(weight, rank["weights"][name]) for name, weight in first["weights"].items()):
            faults.append("ranks end with other weights")
        if not torch.equal(rank["norms"], first["norms"]):
            faults.append("ranks have other gradient norms")
        if (rank["graph"], rank["ties"], rank["found"]) != (first["graph"], first["ties"], first["found"]):
            faults.append("ranks have other graphs")
    return faults
