"""Two gloo processes: the ranks agree, and together they do what one process does on the same batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests import starts
from tests.slow import slow

WORKER = Path(__file__).with_name("worker.py")


def _run(out: Path, devices: int, strategy: str, spec: str) -> list[dict[str, Any]]:
    out.mkdir()
    words = [str(WORKER), str(out), str(devices), strategy, spec]
    if strategy == "ddp":  # tests/matrix and tests/cli have Lightning start its second process
        starts.run_ranks(words, out, timeout=240, size=devices)
    else:
        done = starts.run(words, timeout=240)
        assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in range(devices)]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("single")
    return {spec: _run(folder / spec, 1, "auto", spec)[0] for spec in ("aliases", "derived")}


@pytest.mark.parametrize(
    ("strategy", "spec"),
    [("ddp", "aliases"), pytest.param("ddp_spawn", "aliases", marks=slow), ("ddp_spawn", "derived")],
)
def test_ranks_agree_with_each_other_and_with_one_process(
    strategy: str, spec: str, single: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    first, second = _run(tmp_path / "run", 2, strategy, spec)
    alone = single[spec]
    assert first["weights"].keys() == alone["weights"].keys()
    assert first["losses"] != second["losses"]  # each rank saw its own half
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
        torch.testing.assert_close(weight, alone["weights"][name], rtol=1e-4, atol=1e-5)
    together = [(a + b) / 2 for a, b in zip(first["losses"], second["losses"], strict=True)]
    torch.testing.assert_close(torch.tensor(together), torch.tensor(alone["losses"]), rtol=1e-4, atol=1e-5)
