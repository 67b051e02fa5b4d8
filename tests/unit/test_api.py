"""The public functions: sources of a spec, warnings, refusals, and the README's example."""

from __future__ import annotations

import gc
import json
import warnings

import pytest
import torch
import yaml
from torch import nn

from lightning_tying.api import discover, get_plan, make_plan, report_savings, tie, untie, verify
from lightning_tying.errors import ApplyError, SharingWarning, SpecError
from lightning_tying.spec.loader import load_spec

SPEC = {"share": [{"tie": ["0.weight", "2.weight"], "name": "E"}]}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 4), nn.Linear(4, 10, bias=False))


@pytest.mark.parametrize("form", ["dict", "text", "path", "path as text", "json", "spec", "plan"])
def test_sources(model, form, tmp_path):
    path = tmp_path / "sharing.yaml"
    path.write_text(yaml.safe_dump(SPEC))
    (tmp_path / "sharing.json").write_text(json.dumps(SPEC))
    source = {
        "dict": SPEC,
        "text": yaml.safe_dump(SPEC),
        "path": path,
        "path as text": str(path),
        "json": tmp_path / "sharing.json",
        "spec": load_spec(SPEC),
        "plan": make_plan(model, SPEC),
    }[form]
    plan = tie(model, source)
    assert model[2].weight is model[0].weight
    assert get_plan(model) is plan
    verify(model)


def test_make_plan_touches_nothing(model):
    attributes, parameters = sorted(vars(model)), [id(p) for p in model.parameters()]
    make_plan(model, SPEC)
    assert sorted(vars(model)) == attributes and [id(p) for p in model.parameters()] == parameters
    assert gc.isenabled()


def test_broken_spec_changes_nothing(model):
    attributes = sorted(vars(model))
    with pytest.raises(SpecError, match=r"2\.wieght"):
        tie(model, {"share": [{"tie": ["0.weight", "2.wieght"]}, "1.weight = W"]})
    assert sorted(vars(model)) == attributes and model[2].weight is not model[0].weight


def test_strict_false_warns(model):
    spec = {"share": [*SPEC["share"], "nothing.{l}.weight = W"]}
    with pytest.raises(SpecError):
        tie(model, spec)
    with pytest.warns(SharingWarning, match="matches no site"):
        tie(model, spec, strict=False)
    assert model[2].weight is model[0].weight


def test_no_warning_for_an_ordinary_tie(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tie(model, SPEC)


def test_discover_is_the_plans_graph(model):
    plan = tie(model, SPEC)
    found = discover(model)
    assert found.partition() == plan.graph.partition()
    untie(model)
    tie(model, found.to_spec())
    assert discover(model).partition() == found.partition()


@pytest.mark.filterwarnings("ignore:W2")
def test_tie_made_by_hand_is_part_of_the_plan(model):
    model[2].weight = model[0].weight
    plan = tie(model, {"share": ["1.weight = W"]})
    model.to_empty(device="cpu")
    assert model[2].weight is model[0].weight
    assert plan.graph.partition() == frozenset({frozenset({"0.weight", "2.weight"})})


def test_get_plan_of_a_parent_names_the_tied_child(model):
    tie(model, SPEC)
    parent = nn.ModuleDict({"network": model})
    with pytest.raises(ApplyError, match="Tied inside it: network"):
        get_plan(parent)
    verify(parent)


def test_report_of_plan_and_graph(model):
    plan = tie(model, SPEC)
    assert report_savings(plan) == report_savings(plan.graph)
    assert report_savings(plan).after.parameters == sum(p.numel() for p in model.parameters())


def test_meta_builds_tie_too():
    with torch.device("meta"):
        model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 4), nn.Linear(4, 10, bias=False))
        tie(model, SPEC)
    assert model[2].weight is model[0].weight and model[0].weight.is_meta


def test_attention_and_encoder():
    torch.manual_seed(0)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 4)
    tie(encoder, {"share": ["layers.{l}.{name*} = block[name, l // 2]"]})
    assert encoder.layers[3].self_attn.in_proj_weight is encoder.layers[2].self_attn.in_proj_weight
    assert len(list(encoder.parameters())) == 24
    x = torch.randn(2, 3, 8)
    encoder(x).sum().backward()
    encoder.eval()
    with torch.no_grad():
        fast = encoder(x)
    assert torch.allclose(fast, encoder(x), atol=1e-6)
    encoder.to_empty(device="cpu")
    verify(encoder)


def test_mistakes_of_the_file_and_of_the_model_come_in_one_error() -> None:
    text = """
share:
  - 0.weight -> W
  - 1.wieght = V
  - {sites: "2.{name}", equals: "U[nam]"}
  - sites: 0.weight
    equals: W
parameters:
  Q: {lr: 2}
"""
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    with pytest.raises(SpecError) as caught:
        tie(module, text)
    assert [(problem.code, problem.location.line) for problem in caught.value.problems] == [
        ("13", 3),
        ("25", 4),
        ("46", 5),
        ("86", 9),
    ]


def test_a_mistake_above_the_entries_is_told_alone() -> None:
    module = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(SpecError) as caught:
        tie(module, {"root": "layers.{l}", "share": ["0.wieght = W"]})
    assert [problem.code for problem in caught.value.problems] == ["16"]


def test_the_spec_of_a_plan_keeps_policies_that_a_tie_cannot_say() -> None:
    def make() -> nn.Module:
        return nn.Sequential(*(nn.Linear(3, 3) for _ in range(4)))

    plan = make_plan(
        make(),
        {
            "share": ["{l}.weight = W[l // 2]", {"tie": ["0.bias", "1.bias"]}, "2.bias = Z", "3.bias = Z"],
            "parameters": {"W": {"lr": 0.5, "weight_decay": 0}, "Z": {"frozen": True}},
        },
    )  # fmt: skip
    assert make_plan(make(), plan.graph.to_spec()).graph == plan.graph


def test_the_spec_of_frozen_ties_freezes_them() -> None:
    def make() -> nn.Module:
        return nn.Sequential(*(nn.Linear(3, 3) for _ in range(3)))

    module = make()
    module[1].weight = module[0].weight
    module[0].weight.requires_grad_(False)
    module[2].bias = module[1].bias
    again = make_plan(make(), discover(module).to_spec()).graph
    assert [(group.sites, group.meta.trainable) for group in again.groups] == [
        (("0.weight", "1.weight"), False),
        (("1.bias", "2.bias"), True),
    ]
