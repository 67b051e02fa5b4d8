"""Edits in real processes: two ranks stay equal, and a run that is killed between edits ends as one that was not."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import torch

from tests import starts
from tests.slow import slow

WORKER = str(Path(__file__).with_name("edits_worker.py"))


def _ranks(out: Path, job: str) -> list[dict[str, Any]]:
    starts.run_ranks([WORKER, str(out), job], out, timeout=200)
    return [torch.load(out / f"{job}{rank}.pt", weights_only=True) for rank in (0, 1)]


def _alone(out: Path, job: str) -> tuple[int, dict[str, Any] | None]:
    done = starts.run([WORKER, str(out), job], timeout=200)
    file = out / f"{job}0.pt"
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-3000:]
    return done.returncode, torch.load(file, weights_only=True) if file.exists() else None


def _are_equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    weights = all(torch.equal(value, other["weights"][name]) for name, value in one["weights"].items())
    return weights and all(torch.equal(a, b) for a, b in zip(one["moments"], other["moments"], strict=True))


def test_ranks_stay_equal_and_do_what_one_process_does(tmp_path: Path) -> None:
    first, second = _ranks(tmp_path, "epochs")
    _, alone = _alone(tmp_path, "epochs")
    assert alone is not None
    assert _are_equal(first, second)
    assert first["edits"] == second["edits"] == alone["edits"]
    assert len(first["edits"]) == 3
    for name, value in first["weights"].items():
        torch.testing.assert_close(value, alone["weights"][name], rtol=1e-4, atol=1e-5)


@slow
def test_without_another_wrapper_the_ranks_part(tmp_path: Path) -> None:
    assert not _are_equal(*_ranks(tmp_path, "unwrapped"))


def test_ranks_that_would_do_different_edits_are_refused_on_both(tmp_path: Path) -> None:
    first, second = _ranks(tmp_path, "disagree")
    assert "different edits" in first["refused"]
    assert "different edits" in second["refused"]
    assert first["edits"] == second["edits"] == []
    assert _are_equal(first, second)


@slow
def test_in_the_middle_of_an_epoch_the_wrapper_is_not_made_anew(tmp_path: Path) -> None:
    assert all("on_train_epoch_start" in each["refused"] for each in _ranks(tmp_path, "late"))


@slow
def test_parameters_that_are_divided_are_refused_with_the_way(tmp_path: Path) -> None:
    for each in _ranks(tmp_path, "fsdp2"):
        assert "ModelParallelStrategy" in each["refused"]
        assert "checkpoint migrate" in each["refused"]
        assert each["edits"] == []


def test_a_run_that_is_killed_between_edits_resumes_exactly(tmp_path: Path) -> None:
    code, _ = _alone(tmp_path, "killed")
    assert code == -signal.SIGKILL
    _, resumed = _alone(tmp_path, "resumed")
    _, whole = _alone(tmp_path, "whole")
    assert whole is not None
    assert resumed is not None
    assert resumed["edits"] == whole["edits"]
    assert len(whole["edits"]) == 3
    assert _are_equal(whole, resumed)
