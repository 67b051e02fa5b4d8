"""Fabric: `tie` before `fabric.setup`, on one and on two processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests import starts
from tests.slow import slow

SCRIPT = """
import sys, torch
from lightning.fabric import Fabric
from lightning_tying import tie, verify
from lightning_tying.models import RecurrentLM

fabric = Fabric(accelerator="cpu", devices=int(sys.argv[2]), strategy=sys.argv[3])
fabric.launch()
fabric.seed_everything(1)
torch.set_num_threads(1)
network = RecurrentLM(vocab_size=30, dim=8, depth=2)
tie(network, {"share": [{"tie": ["embed.weight", "head.weight"]}]})
module, optimizer = fabric.setup(network, torch.optim.AdamW(network.parameters(), lr=0.01))
for step in range(3):
    generator = torch.Generator().manual_seed(step)
    tokens = torch.randint(0, 30, (4, 9), generator=generator)[fabric.global_rank :: fabric.world_size]
    loss = torch.nn.functional.cross_entropy(module(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    fabric.backward(loss)
    optimizer.step()
    optimizer.zero_grad()
verify(network)
assert network.head.weight is network.embed.weight
torch.save(network.embed.weight.detach(), f"{sys.argv[1]}/rank{fabric.global_rank}.pt")
"""


@pytest.mark.parametrize(("devices", "strategy"), [pytest.param(1, "auto", marks=slow), (2, "ddp")])
def test_tie_before_fabric_setup(devices: int, strategy: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    starts.run_ranks([str(script), str(tmp_path), str(devices), strategy], tmp_path, timeout=240, size=devices)
    weights = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(devices)]
    for weight in weights[1:]:
        assert torch.equal(weight, weights[0])
