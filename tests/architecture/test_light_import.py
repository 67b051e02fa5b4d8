"""`import lightning_tying` costs little more than `import torch`: the heavy packages stay unloaded."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("lightning", "pytorch_lightning", "jsonargparse", "tokenizers", "torchmetrics", "transformers", "matplotlib")


def _loaded_after(code: str) -> set[str]:
    probe = f"{code}\nimport sys\nprint(*sorted({HEAVY!r} & sys.modules.keys()))".replace(
        f"{HEAVY!r} &", f"set({HEAVY!r}) &"
    )
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=120)
    return set(run.stdout.split())


def test_importing_and_tying_loads_nothing_heavy() -> None:
    code = """
import torch, lightning_tying
net = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 9, bias=False))
lightning_tying.tie(net, {"share": [{"tie": ["0.weight", "1.weight"]}]})
assert net[0].weight is net[1].weight
"""
    assert _loaded_after(code) == set()


def test_the_probe_can_fail() -> None:
    assert "tokenizers" in _loaded_after("import lightning_tying, tokenizers")


def test_build_is_there_and_loads_lightning_only_when_asked_for() -> None:
    assert "lightning" in _loaded_after("import lightning_tying; lightning_tying.build")
