"""AdaptiveSharing on two ranks with other data: they decide the same, and stay equal."""

from __future__ import annotations

from pathlib import Path

import torch

from tests import starts
from tests.slow import slow
from tests.unit.callbacks.adaptive_runs import sites

WORKER = str(Path(__file__).with_name("adaptive_worker.py"))


@slow
def test_ranks_decide_the_same_and_stay_equal(tmp_path: Path) -> None:
    starts.run_ranks([WORKER, str(tmp_path)], tmp_path, timeout=200)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["losses"] != second["losses"]
    assert first["decisions"] == second["decisions"]
    by_policy = {each["policy"]: each for each in first["decisions"]}
    assert {tuple(part) for _, part in by_policy["SplitOnConflict"]["after"]} == {sites(0, 1, 2, 3), sites(4, 5)}
    assert by_policy["JoinOnRedundancy"]["evidence"]["loss_before"] > 0
    assert by_policy["Generous"]["action"] == "join"
    assert all(torch.equal(value, second["weights"][name]) for name, value in first["weights"].items())
    assert len((tmp_path / "adaptive-sharing.jsonl").read_text().splitlines()) == len(first["decisions"])
