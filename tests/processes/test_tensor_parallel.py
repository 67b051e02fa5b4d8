"""Two gloo processes that each compute a part of every layer: the losses and weights of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests import starts

WORKER = Path(__file__).with_name("tensor_parallel_worker.py")
CASES = ("aliases", "parts", "whole", "translation")


def run(out: Path, size: int, cases: tuple[str, ...]) -> list[dict[str, Any]]:
    starts.run_ranks([str(WORKER), str(out), ",".join(cases)], out, timeout=240, size=size)
    return [torch.load(out / f"size{size}-rank{rank}.pt", weights_only=True) for rank in range(size)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("tensor-parallel")
    return [*run(folder, 1, CASES), *run(folder, 2, CASES)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_as_one(case: str, ran: list[dict[str, Any]]) -> None:
    """The second process began with other values, which the first one's replaced."""
    alone, first, second = (results[case] for results in ran)
    assert len(alone["losses"]) >= 5 and alone["losses"][0] != alone["losses"][-1]
    assert first["losses"] == second["losses"]
    torch.testing.assert_close(torch.tensor(first["losses"]), torch.tensor(alone["losses"]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.tensor(first["norms"]), torch.tensor(alone["norms"]), rtol=1e-4, atol=1e-5)
    assert first["weights"].keys() == alone["weights"].keys()
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
        torch.testing.assert_close(weight, alone["weights"][name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", ["aliases", "parts"])
def test_each_process_holds_about_half(case: str, ran: list[dict[str, Any]]) -> None:
    alone, first, _ = (results[case] for results in ran)
    assert first["local"] < 0.55 * alone["local"]
    assert "are divided" in first["plan"]


def test_values_from_parts_and_whole_ones_are_both_among_the_cases(ran: list[dict[str, Any]]) -> None:
    plans = {case: ran[1][case]["plan"] for case in CASES}
    assert "computed from parts" in plans["parts"] and "whole, then cut" not in plans["parts"]
    assert "whole, then cut (`hashed`" in plans["whole"]
