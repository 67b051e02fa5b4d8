"""Values that are not kept for the backward pass: peak memory and step time of `mix(T, 4)` over L layers."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from benchmarks.measure import ratio_by_round, time_in_turn, write_result
from benchmarks.peak_memory import MEASURED, peak_growth
from lightning_tying import tie

WIDTH, BATCH, TEMPLATES = 1024, 32, 4
DEPTHS = (24, 72)


class _Stack(nn.Module):
    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x


class _Mixture(nn.Module):
    """The plain parametrization that one writes by hand: kept for the backward pass."""

    def __init__(self, templates: nn.Parameter) -> None:
        super().__init__()
        self.templates = templates

    def forward(self, coefficients: Tensor) -> Tensor:
        return torch.einsum("k,koi->oi", coefficients, self.templates)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return torch.ones(TEMPLATES, dtype=weight.dtype) / TEMPLATES


def make_aliased(layers: int) -> nn.Module:
    """One matrix for all layers."""
    stack = _Stack(layers)
    tie(stack, {"share": ["layers.{l}.weight = W"]})
    return stack


def make_ours(layers: int) -> nn.Module:
    """Mixtures of four templates by a spec."""
    stack = _Stack(layers)
    tie(stack, {"share": [f"layers.{{l}}.weight = mix(T, {TEMPLATES})"]})
    return stack


def make_naive(layers: int) -> nn.Module:
    """The same mixtures by `torch.nn.utils.parametrize` alone."""
    stack = _Stack(layers)
    templates = nn.Parameter(torch.randn(TEMPLATES, WIDTH, WIDTH) / WIDTH**0.5)
    for layer in stack.layers:
        parametrize.register_parametrization(layer, "weight", _Mixture(templates), unsafe=True)
    return stack


SIDES: dict[str, Callable[[int], nn.Module]] = {"aliased": make_aliased, "ours": make_ours, "naive": make_naive}


class Step:
    """Forward and backward on a fixed input, without an optimizer: its state is the same on all sides."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.x = torch.randn(BATCH, WIDTH, generator=torch.Generator().manual_seed(1))

    def __call__(self) -> None:
        self.network(self.x).square().mean().backward()
        for parameter in self.network.parameters():
            parameter.grad = None


def _peak(side: str, layers: int) -> float:
    command = [sys.executable, "-m", "benchmarks.derived_values", side, str(layers)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=MEASURED).stdout)


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] in SIDES:
        torch.manual_seed(0)
        print(peak_growth(Step(SIDES[sys.argv[1]](int(sys.argv[2])))))
        return
    peaks = {side: [statistics.median(_peak(side, layers) for _ in range(3)) for layers in DEPTHS] for side in SIDES}
    steps = {side: Step(SIDES[side](DEPTHS[0])) for side in ("ours", "naive")}
    timings = time_in_turn(dict(steps), rounds=30, warmup=2)
    ratio = ratio_by_round(timings["ours"], timings["naive"])
    low, high = ratio.spread
    rows = [
        f"| {side} | {peaks[side][0]:.1f} MB | {peaks[side][1]:.1f} MB | {peaks[side][1] - peaks[side][0]:.1f} MB |"
        for side in SIDES
    ]
    write_result(
        "derived-values",
        "Derived values are not kept for the backward pass",
        f"L layers of Linear({WIDTH}, {WIDTH}), batch {BATCH}, float32; peaks above the start of processes of their "
        "own, median of 3; times at L = 24, 30 rounds in turn.\n\n"
        "| side | L = 24 | L = 72 | growth for 48 layers |\n|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        f"Step: ours {timings['ours']}, naive {timings['naive']}; ratio by round **{ratio.median:.3f}** "
        f"(quartiles {low:.3f} … {high:.3f}).",
    )


if __name__ == "__main__":
    main()
