"""FSDP2 over two gloo processes does what one process does: the same start, losses, norms and weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests import starts
from tests.slow import SLOW

WORKER = Path(__file__).with_name("fsdp_worker.py")
QUICK = ("cycle", "delta", "product", "transposed-meta-clip", "mix-accumulate")
MORE = (
    "alias",
    "albert",
    "mix",
    "one",
    "normal",
    "penalty",
    "transposed",
    "alias-outside-clip",
    "delta-meta",
    "normal-meta",
    "cycle-recompute",
    "delta-recompute",
    "delta-bf16",
    "delta-byhand",
    "mix-byhand-policy",
    "penalty-outside",
)
CASES = (*QUICK, *(MORE if SLOW else ()))
Runs = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Runs]:
    """All cases by one process and by two, as `torchrun` starts them."""
    out = {world: tmp_path_factory.mktemp(f"world{world}") for world in (1, 2)}
    for world in out:
        starts.run_ranks([str(WORKER), str(out[world]), *CASES], out[world], timeout=420, size=world)
    return {
        world: {
            case: [torch.load(out[world] / f"{case}-r{rank}.pt", weights_only=True) for rank in range(world)]
            for case in CASES
        }
        for world in out
    }


@pytest.mark.parametrize("case", CASES)
def test_two_processes_do_what_one_does(case: str, runs: dict[int, Runs]) -> None:
    alone, (first, second) = runs[1][case][0], runs[2][case]
    tolerance = 2e-2 if "bf16" in case or "policy" in case else 2e-5
    assert first["losses"] != second["losses"]  # each rank saw its own half
    together = [(a + b) / 2 for a, b in zip(first["losses"], second["losses"], strict=True)]
    torch.testing.assert_close(torch.tensor(together), torch.tensor(alone["losses"]), rtol=tolerance, atol=tolerance)
    assert first["weights"].keys() == alone["weights"].keys()
    for name, weight in alone["weights"].items():
        assert torch.equal(first["weights"][name], second["weights"][name]), name
        if tolerance < 1e-3:  # AdamW makes whole steps of the signs of small gradients, which rounding turns
            torch.testing.assert_close(first["weights"][name], weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_initial_values_are_those_of_one_process(case: str, runs: dict[int, Runs]) -> None:
    alone, pair = runs[1][case][0]["start"], runs[2][case]
    for name, value in alone.items():
        assert value.isfinite().all()
        assert all(torch.equal(each["start"][name], value) for each in pair), name
    if "meta" in case:
        assert alone["embed.weight" if "embed.weight" in alone else "network.embed.weight"].std() > 0.05


@pytest.mark.parametrize("case", [case for case in CASES if "bf16" not in case and "policy" not in case])
def test_the_norm_counts_each_tensor_once(case: str, runs: dict[int, Runs]) -> None:
    alone, pair = runs[1][case][0]["norms"], runs[2][case]
    for each in pair:
        torch.testing.assert_close(torch.tensor(each["norms"]), torch.tensor(alone), rtol=1e-4, atol=1e-5)
