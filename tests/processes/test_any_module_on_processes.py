"""Modules that know nothing of this package under DDP: as torchrun starts them, spawned (the watch pickles), anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests import starts
from tests.slow import SLOW

WORKER = Path(__file__).with_name("any_module_worker.py")


RANKS = "ranks"  # of DDP, that Lightning does not start
CASES = [("eager", RANKS), ("lazy", RANKS)]
if SLOW:  # each start by Lightning costs as much as all the unit tests of the tasks
    CASES += [("eager", "ddp_spawn"), ("lazy", "ddp_spawn"), ("eager", "ddp"), ("lazy", "ddp")]


@pytest.mark.parametrize(("lazy", "strategy"), CASES)
def test_a_watched_module_trains_tied_on_two_processes(lazy: str, strategy: str, tmp_path: Path) -> None:
    if strategy == RANKS:
        starts.run_ranks([str(WORKER), str(tmp_path), lazy, "ddp"], tmp_path, timeout=240)
    else:
        words, one = [str(WORKER), str(tmp_path), lazy, strategy], {**os.environ, "OMP_NUM_THREADS": "1"}
        done = starts.run(words, timeout=240, env=one)
        assert done.returncode == 0, done.stderr[-3000:]
    result = torch.load(tmp_path / "result.pt", weights_only=True)
    assert result["tied"] and result["step"] == 8 and "net.0.weight" in result["spec"]
