"""`plan --strategy`: how a strategy divides the model of a run config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lightning_tying.cli import main

RUN = ["plan", "--config", str(Path(__file__).parents[2] / "configs" / "train" / "digits.yaml")]


def test_fsdp2_units_as_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--strategy", "fsdp2", "--devices", "4"]) == 0
    text = capsys.readouterr().out
    assert "strategy: fsdp2 (4 data parallel), 32-true" in text
    assert "fully_shard(module)  the root" in text
    assert main([*RUN, "--strategy=fsdp2", "--format", "json"]) == 0
    sharding = json.loads(capsys.readouterr().out)["sharding"]
    assert sharding["facts"]["data_parallel"] == 2
    assert sharding["units"][-1]["modules"] == [""]


def test_ddp_divides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--strategy", "ddp"]) == 0
    assert "every process holds the whole module" in capsys.readouterr().out


def test_written_units_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "units.yaml"
    file.write_text("units:\n  - [stage.0]\n")
    assert main([*RUN, "--strategy", "fsdp2", "--units", str(file)]) == 2
    assert "no module is called stage.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--strategy", "zero"], "--strategy is one of"),
        (["--strategy", "pipeline"], "Pipeline parallelism"),
        (["--strategy", "ddp", "--units", "x.yaml"], "belong to --strategy fsdp2"),
        (["--strategy", "fsdp2", "--devices", "none"], "--devices is a number"),
        (["--strategy", "fsdp2", "--devices", "3", "--tensor_parallel_size", "2"], "cannot be divided"),
        (["--units", "x.yaml"], "give --strategy fsdp2"),
    ],
)
def test_wrong_words_are_refused(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, *words]) == 2
    assert told in capsys.readouterr().err
