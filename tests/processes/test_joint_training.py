"""JointTraining over two gloo processes trains what one process trains, and keeps the processes equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests import starts
from tests.slow import SLOW

WORKER = Path(__file__).with_name("joint_worker.py")
CASES = ("together", "drawn", "combined") if SLOW else ("drawn",)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, by one process and by two."""
    folder = tmp_path_factory.mktemp("joint")
    starts.run_ranks([str(WORKER), str(folder), *CASES], folder, timeout=240, size=1)
    starts.run_ranks([str(WORKER), str(folder), *CASES, "refused"], folder, timeout=240)
    return folder


def load(out: Path, case: str, size: int = 2, rank: int = 0) -> dict[str, Any]:
    return torch.load(out / f"{case}-{size}-{rank}.pt", weights_only=True)


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_does(case: str, out: Path) -> None:
    one, two, other = load(out, case, 1), load(out, case), load(out, case, rank=1)
    for name, value in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], value, rtol=0, atol=1e-10)
        assert torch.equal(two["weights"][name], other["weights"][name])
    assert two["values"] == pytest.approx(one["values"], rel=1e-5) and "val/b/accuracy" in one["values"]


def test_drawn_members_are_refused_where_ddp_waits_for_all(out: Path) -> None:
    assert "ddp_find_unused_parameters_true" in load(out, "refused")["refused"]
