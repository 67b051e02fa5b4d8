"""What a trainer is going to do, found from its strategy: exact classes and subclasses."""

from __future__ import annotations

from typing import Any

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, SingleDeviceStrategy

from lightning_tying.tasks.watch.run_facts import find_facts, find_kind


class MyStrategy(ModelParallelStrategy):
    pass


@pytest.mark.parametrize(
    ("strategy", "kind"),
    [
        (MyStrategy(), "fsdp2"),
        (ModelParallelStrategy(), "fsdp2"),
        (DDPStrategy(), "ddp"),
        (SingleDeviceStrategy("cpu"), "single"),
        (type("FSDPStrategy", (), {})(), "fsdp1"),
        (type("Mine", (type("DeepSpeedStrategy", (), {}),), {})(), "deepspeed"),
    ],
)
def test_kinds(strategy: Any, kind: str) -> None:
    assert find_kind(strategy) == kind


def make_trainer(**options: Any) -> Trainer:
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(accelerator="cpu", **quiet, **options)


def test_facts_of_one_process() -> None:
    facts = find_facts(make_trainer(devices=1, accumulate_grad_batches=3, precision="bf16-mixed"))
    assert (facts.strategy, facts.processes, facts.accumulate, facts.precision) == ("single", 1, 3, "bf16-mixed")
    assert facts.accelerator == "cpu"


def test_facts_of_a_mesh_that_is_not_there_yet() -> None:
    strategy = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=2)
    facts = find_facts(make_trainer(devices=4, strategy=strategy, callbacks=[WeightAveraging()]))
    assert (facts.strategy, facts.data_parallel, facts.tensor_parallel) == ("fsdp2", 2, 2)
    assert "WeightAveraging" in facts.callbacks
