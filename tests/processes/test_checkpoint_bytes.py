"""Real files of every spec of the matrix hold each tensor once, full and sharded."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from tests import starts
from tests.matrix import networks
from tests.matrix.cases import CASES
from tests.processes.checkpoint_sizes import DIM, VOCABULARY, Net, Sizes, measure

ROOT = Path(__file__).parents[2]
STEP, PER_ENTRY = 4, 2000  # AdamW's counter of steps; what the sharded format writes around each tensor


def check(sizes: Sizes, allowed: int = 0) -> None:
    assert sizes["trained"] <= sizes["tensors"] <= sizes["trained"] + STEP * sizes["entries"]
    assert sizes["weights"] < sizes["weights_file"] <= sizes["weights"] * 1.01 + 100_000 + allowed
    assert sizes["trained"] < sizes["trained_file"] <= sizes["trained"] * 1.01 + 100_000 + allowed


@pytest.mark.parametrize("name", CASES)
def test_a_file_holds_each_tensor_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "VOCABULARY", VOCABULARY)
    monkeypatch.setattr(networks, "DIM", DIM)
    check(measure(name, tmp_path))
    content = torch.load(tmp_path / f"{name}.ckpt", weights_only=True)
    again = Net(CASES[name])
    again.on_load_checkpoint(content)
    again.load_state_dict(content["state_dict"])
    assert content["sharing"]["groups"].keys() <= content["state_dict"].keys()
    for owner, others in content["sharing"]["groups"].items():
        assert all(
            content["state_dict"][other].data_ptr() == content["state_dict"][owner].data_ptr() for other in others
        )


def test_sharded_folders_hold_each_tensor_once(tmp_path: Path) -> None:
    words, one = ["-m", "tests.processes.checkpoint_sizes", str(tmp_path)], os.environ | {"OMP_NUM_THREADS": "1"}
    done = starts.run(words, timeout=300, cwd=ROOT, env=one)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "sizes.json").read_text())
    assert found.keys() == CASES.keys()
    for sizes in found.values():
        check(sizes, PER_ENTRY * sizes["entries"])
