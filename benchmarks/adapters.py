"""A delta of rank 8 on every Linear of a frozen Transformer: ours against `peft`'s LoRA, step time and peak memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.measure import ratio_by_round, time_in_turn, write_result
from benchmarks.peak_memory import MEASURED, peak_growth
from lightning_tying import tie

DIM, HIDDEN, LAYERS, RANK = 256, 1024, 12, 8
BATCH, LENGTH = 16, 64
SPEC = f"""
share:
  - sites: "layers.{{l}}.{{m*}}.weight"
    equals: base[m, l] + low_rank({RANK})
    where: ndim == 2
parameters:
  base: {{frozen: true}}
"""


class _Block(nn.Module):
    """A pre-norm block whose six matrices are six Linears, so that both sides have the same places to adapt."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.q, self.k, self.v, self.o = (nn.Linear(DIM, DIM) for _ in range(4))
        self.up, self.down = nn.Linear(DIM, HIDDEN), nn.Linear(HIDDEN, DIM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        q, k, v = (part(y).unflatten(-1, (8, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(mixed.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Block() for _ in range(LAYERS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def _base() -> nn.Module:
    torch.manual_seed(0)
    return _Network().requires_grad_(False)


def make_tied() -> nn.Module:
    """Frozen base weights with a delta at every site."""
    network = _base()
    tie(network, SPEC)
    return network


def make_peft() -> nn.Module:
    """The same by `peft`, without dropout, scaled by 1."""
    from peft import LoraConfig, inject_adapter_in_model

    names = ["q", "k", "v", "o", "up", "down"]
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=names, lora_dropout=0.0)
    return inject_adapter_in_model(config, _base())


class Step:
    """One AdamW step of the trainable parameters on a fixed input."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-3)
        self.x = torch.randn(BATCH, LENGTH, DIM, generator=torch.Generator().manual_seed(1))

    def __call__(self) -> None:
        self.network(self.x).square().mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


SIDES: dict[str, Callable[[], nn.Module]] = {"ours": make_tied, "peft": make_peft}


def _peak(side: str) -> float:
    """MB that steps of one side take above the start, in a process of its own."""
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks.adapters", side], capture_output=True, text=True, check=True, env=MEASURED
    )
    return float(out.stdout)


def main() -> None:
    if len(sys.argv) == 2 and sys.argv[1] in SIDES:
        step = Step(SIDES[sys.argv[1]]())
        print(peak_growth(step, rounds=4))
        return
    steps = {side: Step(make()) for side, make in SIDES.items()}
    trainable = {side: sum(p.numel() for p in s.network.parameters() if p.requires_grad) for side, s in steps.items()}
    timings = time_in_turn(dict(steps), rounds=40, warmup=3)
    ratio = ratio_by_round(timings["ours"], timings["peft"])
    peaks = {side: [_peak(side) for _ in range(5)] for side in SIDES}
    medians = {side: statistics.median(values) for side, values in peaks.items()}
    low, high = ratio.spread
    rows = [
        f"| {side} | {trainable[side]:,} | {timings[side]} | {medians[side]:.1f} MB "
        f"({min(peaks[side]):.1f} … {max(peaks[side]):.1f}) |"
        for side in SIDES
    ]
    write_result(
        "adapters",
        "A delta for every Linear: `low_rank(8)` against peft's LoRA",
        f"Transformer of {LAYERS} layers, width {DIM}, frozen; {BATCH} × {LENGTH} positions, AdamW; 40 rounds in turn, "
        "peaks in processes of their own, five each, above the memory before the first step.\n\n"
        "| side | trainable | step | peak |\n|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        f"Step time by round: **{ratio.median:.3f}** (quartiles {low:.3f} … {high:.3f}); "
        f"peak memory: **{medians['ours'] / medians['peft']:.3f}**.",
    )


if __name__ == "__main__":
    main()
