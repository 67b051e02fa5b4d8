"""Every kind of logger gets the numbers; those that show texts get the table, by the calls that they really have."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from torch import nn

from lightning_tying.api import tie
from lightning_tying.callbacks.savings.loggers import list_values, log_savings
from lightning_tying.reports.reckoning.reckon_run import reckon_run
from lightning_tying.reports.reckoning.run_savings import RunSavings


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


def test_what_is_not_known_is_not_logged(run: RunSavings) -> None:
    values = list_values(run)
    assert "tying/peak_memory_bytes" not in values and "tying/cache_bytes_per_token" not in values
    assert all(isinstance(value, float) for value in values.values())
