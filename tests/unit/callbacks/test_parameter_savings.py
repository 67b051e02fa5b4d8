"""ParameterSavings: equal to the forecast, wherever it runs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying import report_savings, tie
from lightning_tying.callbacks import ParameterSavings

SPEC = {"share": [{"tie": ["network.0.weight", "network.2.weight"], "name": "W"}]}


class Net(LightningModule):
    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        self.found = tie(self, SPEC) if tied else None

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.network(batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(net: LightningModule, tmp_path: Path, callbacks: list[Any], **options: Any) -> None:
    given = {"logger": False, "max_steps": 1, "enable_progress_bar": False, "enable_model_summary": False, **options}
    trainer = Trainer(accelerator="cpu", default_root_dir=tmp_path, callbacks=callbacks, **given)
    trainer.fit(net, DataLoader(TensorDataset(torch.randn(4, 4))))


def test_shows_and_saves_the_forecast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = Net()
    fit(net, tmp_path, [ParameterSavings()])
    forecast = report_savings(net.found)
    assert str(forecast) in capsys.readouterr().err
    saved = json.loads(next(tmp_path.rglob("sharing.json")).read_text())
    assert saved["savings"] == forecast.to_dict()
    assert saved["savings"]["after"]["parameters"] == sum(p.numel() for p in net.parameters())
    assert saved["plan"] == json.loads(json.dumps(net.found.to_dict()))


def test_lies_beside_the_checkpoints(tmp_path: Path) -> None:
    fit(Net(), tmp_path, [ParameterSavings(), ModelCheckpoint(dirpath=tmp_path / "kept")])
    assert (tmp_path / "kept" / "sharing.json").is_file()
    assert not list(tmp_path.rglob("*.tmp"))


def test_logs_to_every_logger(tmp_path: Path) -> None:
    loggers = [CSVLogger(tmp_path, name="csv"), TensorBoardLogger(tmp_path, name="tb")]
    fit(Net(), tmp_path, [ParameterSavings()], logger=loggers)
    assert "tying/saved" in next(tmp_path.rglob("metrics.csv")).read_text()


BAREBONES = {"barebones": True, "logger": None, "enable_progress_bar": None, "enable_model_summary": None}


@pytest.mark.parametrize("options", [{"fast_dev_run": True}, BAREBONES])
def test_runs_under_every_kind_of_trainer(options: dict[str, Any], tmp_path: Path) -> None:
    fit(Net(), tmp_path, [ParameterSavings()], **options)


def test_fast_dev_run_writes_nothing(tmp_path: Path) -> None:
    fit(Net(), tmp_path, [ParameterSavings()], fast_dev_run=True)
    assert list(tmp_path.iterdir()) == []


def test_an_untied_run_can_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(Net(tied=False), tmp_path, [ParameterSavings()], enable_checkpointing=False)
    assert "40 -> 40 parameters (0 % saved)" in capsys.readouterr().err
    saved = json.loads((tmp_path / "sharing.json").read_text())
    assert saved["plan"] is None
    assert saved["savings"]["after"]["parameters"] == 40


def test_can_be_pickled_and_told_apart() -> None:
    one, other = ParameterSavings("a"), ParameterSavings("b")
    assert pickle.loads(pickle.dumps(one)).folder == "a"
    assert one.state_key != other.state_key
