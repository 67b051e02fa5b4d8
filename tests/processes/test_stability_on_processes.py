"""GradientStability over two gloo processes measures what one process measures, and leaves training as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_tying.reports.stability.history import read_history
from lightning_tying.reports.stability.record import Record
from tests import starts
from tests.slow import SLOW

WORKER = Path(__file__).with_name("stability_worker.py")
ONE = ("single-none", "single-exact", "single-norm_balanced")
TWO = ("ddp-none", "ddp-exact", "ddp-norm_balanced", "fsdp2-none", "fsdp2-sketch", "fsdp2-sqrt")
if SLOW:
    ONE += ("single-pcgrad",)
    TWO += ("ddp-sketch", "ddp-pcgrad", "fsdp2-exact", "tensor-none", "tensor-exact")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, by one process and by two, as `torchrun` starts them."""
    folder = tmp_path_factory.mktemp("stability")
    for size, cases in ((1, ONE), (2, TWO)):
        starts.run_ranks([str(WORKER), str(folder), *cases], folder, timeout=240, size=size)
    return folder


def load(out: Path, case: str, rank: int = 0) -> dict[str, Any]:
    return torch.load(out / f"{case}-r{rank}.pt")


def records(out: Path, case: str) -> dict[tuple[int, str], Record]:
    return {(each.step, each.group): each for each in read_history(out / case / "stability.jsonl").records}


@pytest.mark.parametrize("case", [case for case in TWO if case.endswith(("-sketch", "-exact"))])
def test_losses_and_weights_are_bit_identical(case: str, out: Path) -> None:
    for rank in (0, 1):
        plain, found = load(out, f"{case.partition('-')[0]}-none", rank), load(out, case, rank)
        assert found["losses"] == plain["losses"]
        assert all(torch.equal(value, plain["weights"][name]) for name, value in found["weights"].items())


@pytest.mark.parametrize("case", [case for case in TWO if case.endswith("-exact")])
def test_two_processes_measure_what_one_does(case: str, out: Path) -> None:
    one, two = records(out, "single-exact"), records(out, case)
    assert one.keys() == two.keys()
    first = [key for key in one if key[0] == 0]  # later steps differ by rounding
    for key in first:
        assert one[key].uses == two[key].uses
        assert two[key].norms == pytest.approx(one[key].norms, rel=1e-3, abs=1e-7)
        assert two[key].kappa == pytest.approx(one[key].kappa, rel=1e-3, abs=1e-6)
        assert two[key].update_to_weight == pytest.approx(one[key].update_to_weight, rel=1e-2)


@pytest.mark.parametrize("name", [case.partition("-")[2] for case in ONE[2:]])
def test_ddp_combines_the_gradients_of_all_processes(name: str, out: Path) -> None:
    one, zero, other = load(out, f"single-{name}"), load(out, f"ddp-{name}"), load(out, f"ddp-{name}", 1)
    for key, value in zero["weights"].items():
        assert torch.equal(value, other["weights"][key])
        torch.testing.assert_close(value, one["weights"][key], rtol=1e-2, atol=1e-3)
    plain = load(out, "single-none")["weights"]
    differs = any((zero["weights"][key] - plain[key]).abs().max() > 1e-2 for key in plain)
    assert differs or name == "pcgrad"  # which changes nothing where nothing conflicts


def test_uniform_weights_run_on_shards(out: Path) -> None:
    plain, scaled = load(out, "fsdp2-none"), load(out, "fsdp2-sqrt")
    assert scaled["losses"][0] == plain["losses"][0]
    assert all(value.isfinite().all() for value in scaled["weights"].values())
