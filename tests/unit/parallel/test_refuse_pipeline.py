"""Pipeline parallelism is refused: by the facts of a run, and where a stage is found in the module."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributed.pipelining import SplitPoint, pipeline

from lightning_tying.errors import ApplyError
from lightning_tying.parallel.facts import RunFacts
from lightning_tying.parallel.refusals.pipeline import check_pipeline


@pytest.mark.parametrize("facts", [RunFacts("pipeline"), RunFacts("fsdp2", pipeline=2)])
def test_by_the_facts(facts: RunFacts) -> None:
    with pytest.raises(ApplyError, match="Pipeline parallelism"):
        check_pipeline(nn.Linear(2, 2), facts)


def test_a_stage_in_the_module() -> None:
    module = nn.Module()
    module.layers = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    check_pipeline(module, RunFacts())
    parts = pipeline(module.layers, (torch.ones(1, 2),), split_spec={"1": SplitPoint.BEGINNING})
    module.schedule = parts
    with pytest.raises(ApplyError, match="schedule is a Pipe"):
        check_pipeline(module, RunFacts())
