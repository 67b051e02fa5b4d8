"""What does a tie cost in training? A step of a model tied by a spec against the same model tied by hand."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from benchmarks.measure import ratio_by_round, time_in_turn, write_result
from lightning_tying import tie
from lightning_tying.models import DecoderLM

SPEC = """
share:
  - tie: [embed.weight, head.weight]
  - layers.{l}.{name*} = block[name, cycle(l, 2)]
"""


def _network() -> DecoderLM:
    torch.manual_seed(0)
    return DecoderLM(vocab_size=2000, dim=128, depth=8, heads=4)


def _tied_by_hand() -> nn.Module:
    network = _network()
    network.head.weight = network.embed.weight
    for number in range(2, 8):
        for name, _ in list(network.layers[number].named_parameters()):
            module_path, _, tensor = name.rpartition(".")
            source = network.layers[number % 2].get_submodule(module_path)
            setattr(network.layers[number].get_submodule(module_path), tensor, getattr(source, tensor))
    return network


def _tied_by_spec() -> nn.Module:
    network = _network()
    tie(network, SPEC)
    return network


class _Step:
    """One AdamW step on fixed random tokens."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
        self.tokens = torch.randint(0, 2000, (8, 129), generator=torch.Generator().manual_seed(1))
        self.losses: list[float] = []

    def __call__(self) -> None:
        logits = self.network(self.tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), self.tokens[:, 1:].flatten())
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.losses.append(loss.item())


def main() -> None:
    by_spec, by_hand = _Step(_tied_by_spec()), _Step(_tied_by_hand())
    timings = time_in_turn({"by spec": by_spec, "by hand": by_hand}, rounds=120, warmup=6)
    ratio = ratio_by_round(timings["by spec"], timings["by hand"])
    same = by_spec.losses == by_hand.losses
    low, high = ratio.spread
    write_result(
        "training-step",
        "A training step: tied by a spec against tied by hand",
        "Decoder of 8 layers, width 128, cycle over two blocks, head tied to the embedding; 8 × 128 tokens, AdamW; "
        "120 rounds in turn, the order changing.\n\n"
        f"| side | step |\n|---|---|\n| tied by `tie(network, spec)` | {timings['by spec']} |\n"
        f"| tied by hand | {timings['by hand']} |\n\n"
        f"Ratio by round: **{ratio.median:.3f}** (quartiles {low:.3f} … {high:.3f}). "
        f"Losses of all {len(by_spec.losses)} steps {'bit-identical' if same else 'DIFFER'}.",
    )


if __name__ == "__main__":
    main()
