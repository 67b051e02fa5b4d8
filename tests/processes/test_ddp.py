"""Two gloo processes: the ranks agree, and together they do what one process does on the same batches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

WORKER = Path(__file__).with_name("worker.py")


def _run(out: Path, devices: int, strategy: str) -> list[dict[str, Any]]:
    out.mkdir()
    subprocess.run([sys.executable, str(WORKER), str(out), str(devices), strategy], check=True, timeout=240)
    return [torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in range(devices)]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _run(tmp_path_factory.mktemp("single") / "run", 1, "auto")[0]


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_ranks_agree_with_each_other_and_with_one_process(
    strategy: str, single: dict[str, Any], tmp_path: Path
) -> None:
    first, second = _run(tmp_path / "run", 2, strategy)
    assert first["weights"].keys() == single["weights"].keys()
    assert first["losses"] != second["losses"]  # each rank saw its own half
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
        torch.testing.assert_close(weight, single["weights"][name], rtol=1e-4, atol=1e-5)
    together = [(a + b) / 2 for a, b in zip(first["losses"], second["losses"], strict=True)]
    torch.testing.assert_close(torch.tensor(together), torch.tensor(single["losses"]), rtol=1e-4, atol=1e-5)
