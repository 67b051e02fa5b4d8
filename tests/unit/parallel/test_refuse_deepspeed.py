"""What ZeRO and DeepSpeed's pipeline would part is refused; DeepSpeed itself need not be there."""

from __future__ import annotations

import pytest
from torch import nn

from lightning_tying import get_plan, tie
from lightning_tying.errors import ApplyError
from lightning_tying.models import DecoderLM
from lightning_tying.parallel.refusals.deepspeed import check_deepspeed


def _attention() -> nn.ModuleList:
    network = nn.ModuleList(nn.MultiheadAttention(8, 2) for _ in range(2))
    tie(network, {"share": ["{l}.out_proj.weight = O"]})
    return network


def test_stage_3_and_a_weight_that_another_module_reads() -> None:
    network = _attention()
    graph = get_plan(network).graph
    check_deepspeed(network, graph, 2)
    with pytest.raises(ApplyError, match=r"out_proj.weight is shared, and 0 \(MultiheadAttention\)"):
        check_deepspeed(network, graph, 3)


def test_stage_3_takes_what_every_module_reads_itself() -> None:
    network = DecoderLM(20, dim=8, depth=2, heads=2)
    tie(network, {"share": [{"tie": ["embed.weight", "head.weight"]}]})
    check_deepspeed(network, get_plan(network).graph, 3)


def test_a_pipeline_module() -> None:
    kind = type("PipelineModule", (nn.ModuleList,), {"__module__": "deepspeed.runtime.pipe.module"})
    network = kind([nn.Linear(2, 2), nn.Linear(2, 2)])
    tie(network, {"share": ["{l}.weight = W"]})
    with pytest.raises(ApplyError, match="TiedLayerSpec"):
        check_deepspeed(network, get_plan(network).graph, 1)
