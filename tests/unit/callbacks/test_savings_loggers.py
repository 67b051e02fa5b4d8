"""Every kind of logger gets the numbers; those that show texts get the table, by the calls that they really have."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch import nn

from lightning_tying.api import tie
from lightning_tying.callbacks.parameter_savings import ParameterSavings
from lightning_tying.callbacks.savings.loggers import list_values, log_hyperparameters, log_savings
from lightning_tying.reports.reckoning.reckon_run import reckon_run
from lightning_tying.reports.reckoning.run_savings import RunSavings
from tests.unit.callbacks.stability_runs import Net, fit


@pytest.fixture
def run() -> RunSavings:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tie(model, {"share": [{"tie": ["0.weight", "1.weight"], "name": "W"}]})
    return reckon_run(model)


class Calls:
    """Notes every call of the names that it is made with."""

    def __init__(self, *names: str) -> None:
        self.seen: dict[str, Any] = {}
        for name in names:
            setattr(self, name, lambda *given, name=name, **named: self.seen.update({name: (given, named)}))


def test_tensorboard_shows_the_table(run: RunSavings) -> None:
    writer = Calls("add_text")
    logger: Any = Calls("log_metrics")
    logger.experiment = writer
    log_savings(logger, run, 3)
    (values,), named = logger.seen["log_metrics"]
    assert values["tying/parameters"] == 24 and values["tying/parameters_untied"] == 40 and named == {"step": 3}
    (tag, text, step), _ = writer.seen["add_text"]
    assert (tag, step) == ("tying/savings", 3) and "| W | 4 × 4 |" in text


def test_weights_and_biases_gets_a_table_of_one_cell(run: RunSavings) -> None:
    logger: Any = Calls("log_metrics", "log_text")
    logger.experiment = SimpleNamespace()
    log_savings(logger, run, 0)
    given, named = logger.seen["log_text"]
    inspect.signature(WandbLogger.log_text).bind(logger, *given, **named)
    assert named["data"] == [[run.to_markdown()]] and len(named["columns"]) == 1


def test_mlflow_gets_a_file(run: RunSavings) -> None:
    client = Calls("log_text")
    logger: Any = Calls("log_metrics")
    logger.experiment, logger.run_id = client, "r1"
    log_savings(logger, run, 0)
    assert client.seen["log_text"] == (("r1", run.to_markdown(), "tying/savings.md"), {})
    assert isinstance(MLFlowLogger.run_id, property)  # the name by which a run is asked for


def test_a_logger_of_numbers_alone_gets_them(run: RunSavings, tmp_path: Any) -> None:
    logger = CSVLogger(tmp_path)
    log_savings(logger, run, 0)
    logger.save()
    assert "tying/checkpoint_bytes_untied" in next(tmp_path.rglob("metrics.csv")).read_text()


def test_a_real_tensorboard_takes_it(run: RunSavings, tmp_path: Any) -> None:
    logger = TensorBoardLogger(tmp_path)
    log_savings(logger, run, 0)
    logger.finalize("success")
    events = b"".join(path.read_bytes() for path in tmp_path.rglob("events*"))
    assert b"tying/savings" in events and b"sum(p.numel())" in events


@pytest.mark.parametrize("kind", [CSVLogger, TensorBoardLogger, WandbLogger, MLFlowLogger])
def test_values_are_hyperparameters_of_every_logger(kind: Any, run: RunSavings) -> None:
    logger: Any = Calls("log_hyperparams")
    log_hyperparameters(logger, run)
    given, named = logger.seen["log_hyperparams"]
    inspect.signature(kind.log_hyperparams).bind(logger, *given, **named)
    assert given[0]["tying/parameters"] == 24 and isinstance(given[0]["tying/parameters"], int)
    assert given[0]["tying/saved"] == pytest.approx(0.4)


def test_a_logger_that_refuses_does_not_end_the_training(run: RunSavings) -> None:
    class Strict:
        def log_hyperparams(self, params: Any) -> None:
            raise ValueError("changing param values is not allowed")

    logger: Any = Strict()
    with pytest.warns(UserWarning, match="Strict does not take what sharing saves: changing"):
        log_hyperparameters(logger, run)


def test_real_loggers_keep_the_values_beside_the_modules_own(tmp_path: Path) -> None:
    class Known(Net):
        def __init__(self) -> None:
            super().__init__()
            self.save_hyperparameters({"width": 6})

    loggers: Any = [CSVLogger(tmp_path, name="csv"), TensorBoardLogger(tmp_path, name="tb")]
    fit(tmp_path, Known(), ParameterSavings(show=False), logger=loggers, max_steps=1)
    told = yaml.safe_load((Path(loggers[0].log_dir) / "hparams.yaml").read_text())
    assert told["width"] == 6 and told["tying/parameters"] == 42 and told["tying/parameters_untied"] == 84
    starts = [part.SerializeToString() for part in _read_hparams(Path(loggers[1].log_dir))]
    assert b"width" in starts[0] and b"tying" not in starts[0]  # the page of hyperparameters shows the first
    assert any(b"tying/parameters_untied" in start for start in starts[1:])


def _read_hparams(folder: Path) -> list[Any]:
    (path,) = folder.glob("events*")
    values = (value for event in EventFileLoader(str(path)).Load() for value in event.summary.value)
    return [value.metadata for value in values if value.tag == "_hparams_/session_start_info"]


def test_what_is_not_known_is_not_logged(run: RunSavings) -> None:
    values = list_values(run)
    assert "tying/peak_memory_bytes" not in values and "tying/cache_bytes_per_token" not in values
    assert all(isinstance(value, float) for value in values.values())
