"""What `lightning-tying plan` forecasts for a run config is what the callback says of the real model, to the unit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lightning_tying.cli import main
from lightning_tying.commands.forecast_run import find_traffic
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
    told = json.loads(capsys.readouterr().out)
    forecast, told_run = told["savings"], told["run"]
    model: Any = make_real_model(words)
    real = reckon_run(model, RunUse(find_rules([model.make_optimizer(list(model.parameters()))])))
    for side, before in (("gross", "before"), ("net", "after")):
        measured = real.to_dict()[side]
        assert {field: measured[field] for field in FIELDS} == {f: forecast[before][key] for f, key in FIELDS.items()}
    assert real.counted == forecast["after"]["parameters"]
    assert told_run["net"] == real.to_dict()["net"] and told_run["optimizer"] == real.optimizer
    assert reckon_run(make_meta_model(words)).to_dict()["gross"] == real.to_dict()["gross"]


MODULE = """
import torch
from torch import nn
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader


class Net(LightningModule):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(50, 8), nn.Linear(8, 50, bias=False)
        self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8)
        self.example_input_array = torch.zeros(2, 5, dtype=torch.long)

    def new_cache(self):
        return []

    def forward(self, ids):
        hidden = self.embed(ids)
        return self.head(self.k(hidden) + self.v(hidden))

    def training_step(self, batch, batch_idx):
        return self(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.RMSprop(self.parameters(), momentum=0.9, centered=True)

    def train_dataloader(self):
        return DataLoader(torch.arange(12).view(4, 3), batch_size=2)
"""


@pytest.mark.parametrize(
    "more", [["--trainer.precision=32-true"], ["--trainer.precision=bf16-true"], ["--trainer.precision=bf16-mixed"]]
)
def test_what_is_forecast_is_what_the_callback_measures_at_fit_start(
    more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_net.py").write_text(MODULE)
    (tmp_path / "s.yaml").write_text("version: 1\nshare:\n  - tie: [embed.weight, head.weight]\n    name: E\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    words = ["--model=own_net.Net", "--sharing=s.yaml", "--trainer.accelerator=cpu", "--trainer.devices=1", *more]
    assert main(["plan", *words, "--format=json"]) == 0
    forecast = json.loads(capsys.readouterr().out)["run"]
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.logger=false", "--trainer.max_steps=1"]
    assert main(["fit", *words, *quiet, "--trainer.default_root_dir=run"]) == 0
    measured = json.loads((tmp_path / "run" / "sharing.json").read_text())["run"]
    assert measured.pop("peak_memory_bytes") is not None and forecast.pop("peak_memory_bytes") is None
    assert forecast == measured
    assert forecast["optimizer"] == "RMSprop: 3 for each parameter" and forecast["per_token"]["counted"]
    assert main(["plan", *words]) == 0
    text = capsys.readouterr().out
    assert "bytes sent per step (one process)" in text and "KV-cache bytes per token" in text
    assert f"{forecast['net']['state_cells']:,}" in text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "one process"),
        ({"devices": 4, "strategy": "auto"}, "DDP, 4 processes"),
        ({"devices": [0, 1], "strategy": "ddp_spawn", "num_nodes": 3}, "DDP, 6 processes"),
        ({"devices": "2", "strategy": {"class_path": "lightning.pytorch.strategies.ModelParallelStrategy"}},
         "FSDP2, 2 processes"),
        ({"devices": 2,
          "strategy": {"class_path": "ModelParallelStrategy", "init_args": {"tensor_parallel_size": 2}}},
         "tensor parallel, 2 processes"),
        ({"devices": 2, "strategy": "xla"}, "another strategy, 2 processes"),
        ({"devices": 1, "strategy": "ddp"}, "one process"),
    ],
)  # fmt: skip
def test_traffic_is_that_of_the_trainer_of_the_config(options: dict[str, Any], told: str) -> None:
    assert str(find_traffic({"accelerator": "cpu", **options})) == told
