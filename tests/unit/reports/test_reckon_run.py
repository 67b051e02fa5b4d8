"""A run's savings: equal to the forecast and to the real model, group by group, reconciled with torch's own count."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from torch import nn

from lightning_tying.api import make_plan, report_savings, tie
from lightning_tying.errors import TieBroken
from lightning_tying.models import DecoderLM
from lightning_tying.reports.reckoning.footprint import Footprint
from lightning_tying.reports.reckoning.optimizer_state import find_rules
from lightning_tying.reports.reckoning.reckon_run import RunUse, reckon_run
from lightning_tying.reports.reckoning.traffic import Traffic
from lightning_tying.reports.sharing_page import make_page
from lightning_tying.reports.sharing_svg import graph_to_svg


def make_decoder() -> nn.Module:
    return DecoderLM(60, 16, 4, 2)


def make_stack() -> nn.Module:
    return nn.Sequential(*[nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)) for _ in range(6)])


TIED = {"share": [{"tie": ["embed.weight", "head.weight"], "name": "E"}, "layers.{l}.{name*} = block[name, l % 2]"]}
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "aliases": (make_decoder, TIED),
    "frozen": (make_decoder, TIED | {"parameters": {"E": {"frozen": True}}}),
    "deltas": (make_stack, {"share": ["{l}.0.weight = W[l % 2] + low_rank(2)", "{l}.1.{name} = norm[name]"]}),
    "mix": (make_stack, {"share": ["{l}.0.weight = mix(T, 3)"]}),
    "adapters": (make_stack, {"share": [{"preset": {"name": "lora", "over": "{l}.0.weight", "rank": 2}}]}),
    "lstm": (lambda: nn.LSTM(6, 6, 2), {"share": [{"tie": ["weight_hh_l0", "weight_hh_l1"]}]}),
}


@pytest.mark.parametrize("name", CASES)
def test_forecast_on_meta_and_run_are_equal_to_the_unit(name: str) -> None:
    make, spec = CASES[name]
    with torch.device("meta"):
        plan = make_plan(make(), spec)
        forecast, early = report_savings(plan), make()
        tie(early, spec)
    model = make()
    tie(model, spec)
    optimizer = torch.optim.AdamW(each for each in model.parameters() if each.requires_grad)
    run = reckon_run(model, RunUse(find_rules([optimizer])))
    assert reckon_run(early).to_dict() == run.to_dict()
    for whole, size in ((run.gross, forecast.before), (run.net, forecast.after)):
        assert whole.parameters == size.parameters and whole.trainable == size.trainable
        assert whole.parameter_bytes == size.parameter_bytes and whole.state_cells == size.optimizer_cells


@pytest.mark.parametrize("name", CASES)
def test_the_run_is_what_the_real_model_takes(name: str) -> None:
    make, spec = CASES[name]
    model = make()
    tie(model, spec)
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    run = reckon_run(model, RunUse(find_rules([optimizer])))
    for parameter in trained:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    states = [each for state in optimizer.state.values() for key, each in state.items() if key != "step"]
    parameters = list(model.parameters())
    assert run.counted == run.net.parameters == sum(each.numel() for each in parameters)
    assert run.net.parameter_bytes == sum(each.numel() * each.itemsize for each in parameters)
    assert run.net.gradient_bytes == sum(each.grad.numel() * each.grad.itemsize for each in trained)
    assert run.net.state_cells == sum(each.numel() for each in states)
    assert run.net.state_bytes == sum(each.numel() * each.itemsize for each in states)


@pytest.mark.parametrize("name", CASES)
def test_the_parts_are_the_whole(name: str) -> None:
    make, spec = CASES[name]
    model = make()
    tie(model, spec)
    run = reckon_run(model)
    content = json.loads(json.dumps(run.to_dict()))
    for side in ("gross", "net"):
        for field in Footprint().to_dict():
            assert sum(part[side][field] for part in content["groups"]) == content[side][field]
    assert content["reconciled"] is True
    assert f"= {run.net.parameters:,} = sum(p.numel())." in str(run)


def test_what_lies_outside_the_tied_network_is_counted_too() -> None:
    whole = nn.Module()
    whole.network, whole.critic = make_stack(), nn.Linear(3, 3)
    whole.twin = whole.critic
    tie(whole.network, {"share": ["{l}.0.weight = W"]})
    run = reckon_run(whole)
    assert run.net.parameters == sum(each.numel() for each in whole.parameters())
    shared = {part.name: part.sites for part in run.parts if part.kind == "shared"}
    assert shared == {"W": 6, "critic.weight": 2, "critic.bias": 2}


def test_two_tied_networks_are_told_apart() -> None:
    whole = nn.ModuleDict({"left": make_stack(), "right": make_stack()})
    for side in whole.values():
        tie(side, {"share": ["{l}.0.weight = W"]})
    assert {part.name for part in reckon_run(whole).parts} == {"left: W", "right: W", "not shared"}


def test_a_lost_tie_is_an_error() -> None:
    model = make_stack()
    tie(model, {"share": ["{l}.0.weight = W"]})
    model.get_submodule("3.0").weight = nn.Parameter(torch.zeros(8, 8))
    with pytest.raises(TieBroken, match=r"sum\(p.numel\(\)\) is .* Call verify\(module\)"):
        reckon_run(model)


def test_lazy_layers_are_left_out() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.Linear(2, 2))
    assert reckon_run(model).counted == 6


def test_bytes_that_are_sent_are_told_for_every_group() -> None:
    model = make_decoder()
    tie(model, TIED)
    run = reckon_run(model, RunUse(traffic=Traffic("ddp", 2, "DDP")))
    content = run.to_dict()
    assert content["net"]["sent_bytes_per_step"] == run.net.gradient_bytes
    group = next(part for part in content["groups"] if part["name"] == "E")
    assert group["saved"]["sent_bytes_per_step"] == group["saved"]["gradient_bytes"] == 4 * 60 * 16
    assert "bytes sent per step (DDP, 2 processes)" in str(run)


def test_divided_parameters_are_not_reconciled() -> None:
    model = make_decoder()
    tie(model, TIED)
    run = reckon_run(model, RunUse(traffic=Traffic("unknown", 2, "FSDP1"), divided=True))
    assert run.net == reckon_run(model).net and run.counted is None
    assert "Not reconciled: " in str(run) and "FSDP1 has divided the parameters" in str(run)


def test_optimizer_state_that_is_not_known_is_not_told() -> None:
    model = nn.Linear(2, 2)
    run = reckon_run(model, RunUse({id(each): None for each in model.parameters()}))
    assert run.optimizer is None and "known after the first step" in str(run)
    assert not run.net.state_bytes


def test_nothing_shared_is_said() -> None:
    assert "Nothing is shared in this model." in str(reckon_run(nn.Linear(2, 2)))
    assert str(reckon_run(nn.ReLU())).endswith("0 -> 0 parameters (0 % saved)")


def test_hundreds_of_groups_are_a_few_rows_that_add_up() -> None:
    model = nn.Sequential(*[nn.Linear(i % 40 + 1, 2, bias=False) for i in range(80)])
    tie(model, {"share": ["{l}.weight = W[l % 40]"]})
    run = reckon_run(model)
    rows = run.tables()[0].rows
    assert len(rows) == 13 and rows[-1][0] == "28 more"
    saved = run.gross.parameters - run.net.parameters
    assert sum(int(row[5].replace(",", "")) for row in rows) == saved == sum(range(1, 41)) * 2


def test_the_page_stands_alone_and_is_escaped() -> None:
    model = nn.ModuleDict({"<b>": nn.Linear(2, 2, bias=False), "c&d": nn.Linear(2, 2, bias=False)})
    plan = tie(model, {"share": [{"tie": ["<b>.weight", "c&d.weight"], "name": "W"}]})
    page = make_page(reckon_run(model), [graph_to_svg(plan.graph)])
    assert "&lt;b&gt;.weight" in page and "<b>" not in page
    outside = page.replace("http://www.w3.org/2000/svg", "")
    assert not re.search("https?:", outside) and "<script" not in page and "src=" not in page
    assert "sum(p.numel())" in page
