"""Per-use gradients of two gloo processes are those of one process, and add up to the gradient that both get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests import starts

WORKER = Path(__file__).with_name("uses_worker.py")
CASES = ("ddp", "ddp-delta", "fsdp", "fsdp-delta", "tensor_parallel")


def run(out: Path, size: int) -> list[dict[str, Any]]:
    starts.run_ranks([str(WORKER), str(out)], out, timeout=240, size=size)
    return [torch.load(out / f"size{size}-rank{rank}.pt", weights_only=True) for rank in range(size)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("uses")
    return [*run(folder, 1), *run(folder, 2)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_have_the_uses_of_one(case: str, ran: list[dict[str, Any]]) -> None:
    alone, first, second = (results[case] for results in ran)
    assert alone.keys() == first.keys() == second.keys()
    assert any(len(found["keys"]) > 1 for found in alone.values())
    for group, found in first.items():
        expected, other = alone[group], second[group]
        assert found["keys"] == expected["keys"] == other["keys"]
        assert torch.equal(found["gram"], other["gram"]), group
        torch.testing.assert_close(found["gram"], expected["gram"], rtol=1e-4, atol=1e-9)
        torch.testing.assert_close(found["norms"], expected["norms"], rtol=1e-4, atol=1e-7)
        assert found["sum_norm"] == pytest.approx(expected["sum_norm"], rel=1e-4)
        torch.testing.assert_close(found["sketch_gram"], expected["sketch_gram"], rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_they_add_up_to_the_gradient(case: str, ran: list[dict[str, Any]]) -> None:
    for results in ran:
        for group, found in results[case].items():
            size = float(found["norms"].sum())
            for total in (found["sum"], found["kept"]):
                assert float((total - found["grad"]).norm()) <= 1e-6 * size, group
