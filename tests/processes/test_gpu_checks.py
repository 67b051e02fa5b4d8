"""The script for machines with CUDA: says so where there is none, and its checks run as far as a CPU goes."""

from __future__ import annotations

import pytest
import torch

from benchmarks import gpu


def test_without_cuda_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 0
    assert "No CUDA device" in capsys.readouterr().out


def test_the_checks_themselves_on_the_cpu() -> None:
    distances = gpu.compare("cpu", precision="bf16-mixed").split(", ")
    assert [text.split()[0] for text in distances] == ["aliases", "low_rank"]
    assert all(0 < float(text.split()[1]) < 0.2 for text in distances)
    assert gpu.run_lstm("cpu") == "largest difference 0.0e+00"


def test_a_failure_is_told_and_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> str:
        raise ValueError("what went wrong")

    assert gpu.attempt(fail) == "**failed**: ValueError: what went wrong"
    assert "Traceback" in capsys.readouterr().err
