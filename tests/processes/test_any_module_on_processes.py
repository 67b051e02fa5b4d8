"""Modules that know nothing of this package under DDP: spawned (the watch pickles) and started anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.slow import SLOW

WORKER = Path(__file__).with_name("any_module_worker.py")


CASES = [("eager", "ddp_spawn")]
if SLOW:  # each start costs as much as all the unit tests of the tasks
    CASES += [("lazy", "ddp_spawn"), ("eager", "ddp"), ("lazy", "ddp")]


@pytest.mark.parametrize(("lazy", "strategy"), CASES)
def test_a_watched_module_trains_tied_on_two_processes(lazy: str, strategy: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(WORKER), str(tmp_path), lazy, strategy], capture_output=True, text=True, timeout=240,
        check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    result = torch.load(tmp_path / "result.pt", weights_only=True)
    assert result["tied"] and result["step"] == 8 and "net.0.weight" in result["spec"]
