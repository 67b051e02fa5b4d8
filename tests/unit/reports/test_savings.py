"""The table reconciles with torch's own counts and ends in one sentence."""

from __future__ import annotations

import json

import torch
from torch import nn

from lightning_tying.api import discover, make_plan, report_savings, tie
from lightning_tying.reports.reckoning.measured import measure_savings

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


def make_stack():
    return nn.Sequential(*[nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)) for _ in range(6)])


def test_derived_families_are_rows_that_add_up():
    model = make_stack()
    spec = {
        "share": [
            {"sites": "{l}.0.weight", "equals": "W[l % 2] + low_rank(2)"},
            {"sites": "{l}.0.bias", "equals": "0.5 * b", "where": "l > 0"},
            {"sites": "0.0.bias", "equals": "b"},
            "{l}.1.{name} = norm[name]",
        ]
    }
    report = report_savings(tie(model, spec))
    groups, families, totals = report.tables()
    assert [row[0] for row in groups.rows] == ["norm[weight]", "norm[bias]"]
    assert families.header == ("computed from", "before -> after", "sites", "cells", "saved")
    assert (
        families.rows
        == (
            ("b", "48 -> 8", "6", "8", "40"),
            ("W, low_rank.A, low_rank.B", "384 -> 320", "6", "320", "64"),
        )[::-1]
    )
    assert report.before.parameters == 6 * (64 + 8 + 16)
    assert report.after.parameters == sum(p.numel() for p in model.parameters())
    saved = sum(part.saved for part in (*report.groups, *report.families))
    assert saved == report.before.parameters - report.after.parameters
    assert len(totals.rows) == 4
    data = json.loads(json.dumps(report.to_dict()))
    assert data["families"][0] == {
        "name": "W, low_rank.A, low_rank.B", "sites": 6, "before": 384, "after": 320, "saved": 64,
    }  # fmt: skip


def test_frozen_bases_are_parameters_that_do_not_train():
    model = make_stack()
    plan = tie(model, {"share": [{"preset": {"name": "lora", "over": "{l}.0.weight", "rank": 2}}]})
    for report in (report_savings(plan), report_savings(discover(model)), measure_savings(model)):
        assert report.after.parameters == sum(p.numel() for p in model.parameters())
        assert report.after.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
        assert report.before.parameters == 6 * (64 + 8 + 16)
        assert report.families[0].saved == -6 * 32
    assert report_savings(plan).before.trainable == report_savings(plan).before.parameters


def test_families_that_one_site_reads_are_counted_together():
    model = nn.Sequential(*[nn.Linear(4, 4, bias=False) for _ in range(3)])
    plan = make_plan(model, {"share": ["0.weight = A * B", "1.weight = B * C", "2.weight = 2 * D"]})
    families = report_savings(plan).families
    assert [(family.name, family.sites, family.before, family.after) for family in families] == [
        ("D", 1, 16, 16),
        ("A, B, C", 2, 32, 48),
    ]


def test_many_families_are_summed_up():
    model = nn.Sequential(*[nn.Linear(2, 2, bias=False) for _ in range(20)])
    plan = make_plan(model, {"share": [f"{i}.weight = 2 * W{i:02}" for i in range(20)]})
    rows = report_savings(plan).tables()[0].rows
    assert len(rows) == 13 and rows[-1] == ("8 more", "32 -> 32", "8", "32", "0")


def test_what_adds_parameters_is_told_as_more():
    module = nn.Linear(10, 10, bias=False)
    adapted = {"preset": {"name": "lora", "over": "{m}", "rank": 1, "as": "base"}}
    report = report_savings(make_plan(module, {"share": [adapted]}))
    assert report.summary == "100 -> 120 parameters (20 % more)"
