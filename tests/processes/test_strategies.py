"""DDP in all its ways of starting and settings, and two-dimensional parallelism, against one process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import starts
from tests.slow import slow

WORKER = Path(__file__).with_name("strategy_worker.py")


def _run(out: Path, strategy: str, devices: int, spec: str) -> list[dict[str, Any]]:
    out.mkdir(parents=True)
    words = [str(WORKER), str(out), strategy, str(devices), spec]
    if "x" in strategy:
        starts.run_ranks(words, out, timeout=280, size=devices)
    else:  # the start is Lightning's
        done = starts.run(words, timeout=280)
        assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in range(devices)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What one process comes to, by spec."""

    @functools.cache
    def run(spec: str) -> dict[str, Any]:
        return _run(tmp_path_factory.mktemp("alone") / spec, "auto", 1, spec)[0]

    return run


@pytest.mark.parametrize(
    ("strategy", "spec", "devices"),
    [
        ("ddp_fork", "derived", 2),
        ("2x2", "derived", 4),
        pytest.param("ddp_fork", "aliases", 2, marks=slow),
        pytest.param("ddp", "derived", 2, marks=slow),
        pytest.param("ddp_find_unused_parameters_true", "derived", 2, marks=slow),
        pytest.param("ddp_find_unused_parameters_false", "aliases", 2, marks=slow),
        pytest.param("ddp?static_graph=1", "derived", 2, marks=slow),
        pytest.param("ddp?gradient_as_bucket_view=1", "derived", 2, marks=slow),
        pytest.param("1x2", "aliases", 2, marks=slow),
        pytest.param("1x2", "derived", 2, marks=slow),
        pytest.param("2x2", "aliases", 4, marks=slow),
    ],
)
def test_processes_train_as_one(
    strategy: str, spec: str, devices: int, alone: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    ranks, single = _run(tmp_path / "run", strategy, devices, spec), alone(spec)
    together = torch.tensor([rank["losses"] for rank in ranks]).mean(dim=0)
    torch.testing.assert_close(together, torch.tensor(single["losses"]), rtol=1e-5, atol=1e-5)
    for rank in ranks:
        assert rank["weights"].keys() == single["weights"].keys()
        for name, weight in rank["weights"].items():
            assert torch.equal(weight, ranks[0]["weights"][name]), name
            torch.testing.assert_close(weight, single["weights"][name], rtol=1e-4, atol=1e-4)
