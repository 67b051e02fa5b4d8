"""Is planning linear in the number of sites? `make_plan` at 1,000, 10,000 and 100,000 sites."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.measure import time_in_turn, write_result
from lightning_tying import make_plan

SIZES = (1_000, 10_000, 100_000)
TENSORS = 10  # in each layer
SPEC = {"share": [{"sites": "layers.{l}.{name*}", "equals": "block[name, l // 2]", "except": "layers.*.t0.weight"}]}


def _layered(sites: int) -> nn.Module:
    """A module with `sites` parameters in layers of ten, on the meta device."""
    layers = nn.ModuleList()
    for _ in range(sites // TENSORS):
        layer = nn.Module()
        for number in range(TENSORS):
            holder = nn.Module()
            holder.weight = nn.Parameter(torch.empty(4, 4, device="meta"))
            layer.add_module(f"t{number}", holder)
        layers.append(layer)
    root = nn.Module()
    root.layers = layers
    return root


def main() -> None:
    modules = {size: _layered(size) for size in SIZES}
    timings = time_in_turn(
        {str(size): lambda module=module: make_plan(module, SPEC) for size, module in modules.items()},
        rounds=5,
        warmup=1,
    )
    rows = [
        f"| {size:,} | {timings[str(size)].median:.3f} s | {1e6 * timings[str(size)].median / size:.1f} µs |"
        for size in SIZES
    ]
    growth = timings["100000"].median / timings["10000"].median
    body = "\n".join(["| sites | `make_plan`, median of 5 | per site |", "|---|---|---|", *rows])
    write_result(
        "planning",
        "Planning time against the number of sites",
        f"One equation with two holes and one exception, two uses of each parameter.\n\n{body}\n\n"
        f"t(100,000) / t(10,000) = **{growth:.1f}** (10 is linear).",
    )


if __name__ == "__main__":
    main()
