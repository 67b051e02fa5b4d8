"""What `lightning-tying plan` forecasts for a run config is what the callback says of the real model, to the unit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lightning_tying.cli import main
from lightning_tying.commands.meta_model import make_meta_model, make_real_model
from lightning_tying.reports.reckoning.optimizer_state import find_rules
from lightning_tying.reports.reckoning.reckon_run import RunUse, reckon_run

CONFIGS = Path(__file__).parents[3] / "configs" / "train"
SMALL = {
    "digits": ["--model.network.init_args.width=4", "--model.network.init_args.stages=2"],
    "multilingual_lm": ["--data.vocabulary_size=400", "--model.network.init_args.dim=16"],
    "relaxed_lm": ["--data.vocabulary_size=400", "--model.network.init_args.dim=16"],
}
FIELDS = {
    "parameters": "parameters", "trainable": "trainable", "parameter_bytes": "parameter_bytes",
    "state_cells": "optimizer_cells",
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_the_plan_is_the_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--config", str(CONFIGS / f"{name}.yaml"), *SMALL[name]]
    assert main(["plan", *words, "--format", "json"]) == 0
    forecast = json.loads(capsys.readouterr().out)["savings"]
    model: Any = make_real_model(words)
    real = reckon_run(model, RunUse(find_rules([model.make_optimizer(list(model.parameters()))])))
    for side, before in (("gross", "before"), ("net", "after")):
        told = real.to_dict()[side]
        assert {field: told[field] for field in FIELDS} == {f: forecast[before][key] for f, key in FIELDS.items()}
    assert real.counted == forecast["after"]["parameters"]
    assert reckon_run(make_meta_model(words)).to_dict()["gross"] == real.to_dict()["gross"]
