"""A forward in eval mode of a model with derived values: cached, not cached, and with the values written in."""

from __future__ import annotations

import copy

import torch
from torch import nn

from benchmarks.measure import ratio_by_round, time_in_turn, write_result
from lightning_tying import cache_values, materialize, tie
from lightning_tying.models import DecoderLM

SPEC = """
share:
  - layers.{l}.attn.{m}.weight = mix(T[m], 4)
  - sites: layers.{l}.mlp.{m}.weight
    equals: W[m, l % 2] + low_rank(8)
"""


def _tied() -> nn.Module:
    torch.manual_seed(0)
    network = DecoderLM(vocab_size=2000, dim=256, depth=8, heads=4).eval()
    tie(network, SPEC)
    return network


def main() -> None:
    network = _tied()
    plain = materialize(copy.deepcopy(network))
    tokens = torch.randint(0, 2000, (1, 64), generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), cache_values(network):
        timings = time_in_turn(
            {"cached": lambda: network(tokens), "materialized": lambda: plain(tokens)}, rounds=400, warmup=10
        )
    with torch.no_grad():
        uncached = time_in_turn({"each": lambda: network(tokens)}, rounds=30, warmup=2)["each"]
        same = torch.allclose(network(tokens), plain(tokens), atol=1e-5)
    ratio = ratio_by_round(timings["cached"], timings["materialized"])
    low, high = ratio.spread
    write_result(
        "evaluation",
        "A forward in eval: cached values against a materialized model",
        "Decoder of 8 layers, width 256: attention mixes four templates, the MLPs are two blocks in turn with deltas; "
        "64 tokens, batch 1, no_grad; 400 rounds in turn.\n\n"
        "| side | forward |\n|---|---|\n"
        f"| `with cache_values(network)` | {timings['cached']} |\n"
        f"| `materialize(network)` | {timings['materialized']} |\n"
        f"| neither: each value once per forward | {uncached} |\n\n"
        f"Ratio cached / materialized by round: **{ratio.median:.3f}** (quartiles {low:.3f} … {high:.3f}). "
        f"Outputs {'agree to 1e-5' if same else 'DIFFER'}.",
    )


if __name__ == "__main__":
    main()
