"""The table reconciles with torch's own counts and ends in one sentence."""

from __future__ import annotations

import json

from torch import nn

from lightning_tying.api import discover, make_plan, report_savings, tie

SPEC = """
share:
  - tie: [0.weight, 2.weight]
    name: vocabulary
  - 1.layers.{i}.linear1.{name} = up[i % 2, name]
  - 1.layers.{i}.linear2.{name} = down[i % 2, name]
"""


def make_model():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 6, enable_nested_tensor=False)
    return nn.Sequential(nn.Embedding(1000, 64), encoder, nn.Linear(64, 1000, bias=False))


def test_the_readmes_numbers():
    model = make_model()
    before = sum(p.numel() for p in model.parameters())
    report = report_savings(tie(model, SPEC))
    assert str(report).splitlines()[-1] == "427,904 -> 231,552 parameters (46 % saved)"
    assert report.before.parameters == before == 427_904
    assert report.after.parameters == sum(p.numel() for p in model.parameters()) == 231_552
    assert report.after.parameter_bytes == 4 * 231_552 and report.after.optimizer_cells == 2 * 231_552
    assert sum(group.saved for group in report.groups) == 427_904 - 231_552
    assert report.groups[0].name == "vocabulary"


def test_plain_data_and_markdown():
    report = report_savings(make_plan(make_model(), SPEC))
    data = json.loads(json.dumps(report.to_dict()))
    assert data["after"]["parameters"] == 231_552 and data["groups"][0]["shape"] == [1000, 64]
    assert "| vocabulary | 1000 × 64 | 2 | 64,000 | 64,000 |" in report.to_markdown()
    assert report._repr_html_().startswith("<table>")


def test_frozen_parameters_have_no_optimizer_state():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    plan = make_plan(model, {"share": ["{i}.weight = W"], "parameters": {"W": {"frozen": True}}})
    report = report_savings(plan)
    assert report.after.trainable == 8 and report.before.trainable == 8
    assert report.after.optimizer_cells == 16


def test_nothing_shared():
    report = report_savings(discover(nn.Linear(2, 2)))
    assert str(report).endswith("6 -> 6 parameters (0 % saved)")


def test_a_model_without_parameters():
    assert str(report_savings(discover(nn.ReLU()))).endswith("0 -> 0 parameters (0 % saved)")
