"""The table reconciles with torch's own counts and ends in one sentence."""

from __future__ import annotations

import json

import torch
from torch import nn

from lightning_tying.api import discover, make_plan, report_savings, tie
from lightning_tying.reports.measured import measure_savings

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


def test_a_hundred_groups_are_a_few_rows_that_add_up():
    module = nn.Sequential(*[nn.Linear(3, 3) for _ in range(200)])
    plan = make_plan(module, {"share": ["{i}.weight = W[i % 100]", "*.bias = b"]})
    report = report_savings(plan)
    rows = report.tables()[0].rows
    assert rows == (("W[…] (100)", "3 × 3", "200", "900", "900"), ("b", "3", "200", "3", "597"))
    assert len(str(report).splitlines()) < 15 and len(report.to_dict()["groups"]) == 101


def test_unnamed_ties_fold_by_their_numbers_and_the_rest_is_summed():
    module = nn.ModuleDict({f"part{i}": nn.Linear(i + 2, 1) for i in range(40)})
    twin = nn.ModuleDict({"a": module, "b": nn.ModuleDict({f"part{i}": nn.Linear(i + 2, 1) for i in range(40)})})
    report = report_savings(make_plan(twin, {"share": ["{x:a|b}.{n}.weight = W[n]"]}))
    rows = report.tables()[0].rows
    assert len(rows) == 13 and rows[0][0] == "W[part39]" and rows[-1][:3] == ("28 more", "", "56")
    assert sum(int(row[4].replace(",", "")) for row in rows) == report.before.parameters - report.after.parameters


class Odd(nn.Module):
    """Every kind of tensor that a count may forget."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4).half()
        self.c2 = self.c  # one module at two paths
        self.b.bias.requires_grad_(False)
        self.table = nn.Parameter(torch.arange(5), requires_grad=False)
        self.same_table = self.table
        self.wave = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
        self.norm = nn.BatchNorm1d(4)  # three buffers
        self.scalar = nn.Parameter(torch.tensor(1.0))


def test_every_parameter_is_counted():
    for ties in (["a.weight", "b.weight"], ["a.bias", "norm.bias"]):
        module = Odd()
        before = sum(p.numel() for p in module.parameters())
        plan = make_plan(module, {"share": [{"tie": ties}]})
        assert tie(module, plan) is plan
        for report in (report_savings(plan), report_savings(discover(module)), measure_savings(module)):
            assert report.after.parameters == sum(p.numel() for p in module.parameters())
            assert report.after.trainable == sum(p.numel() for p in module.parameters() if p.requires_grad)
            assert report.after.parameter_bytes == sum(p.numel() * p.itemsize for p in module.parameters())
            assert report.before.parameters == before + 4 * 4 + 4  # `c2` counts as places of their own
