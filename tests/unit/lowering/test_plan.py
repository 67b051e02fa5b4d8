"""A plan prints well and survives JSON."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from lightning_tying.api import make_plan, tie
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.plan import Plan

TEXT = """\
plan: 3 aliases
3 shared parameters read by 6 sites; 12 private parameters

E  [12, 8] float32
    embed.weight
    head.weight

W[0]  [8, 8] float32  init normal(0.02)  lr × 0.5  weight decay × 0
    layers.{0, 2}.up.weight

W[1]  [8, 8] float32  init normal(0.02)  lr × 0.5  weight decay × 0
    layers.{1, 3}.up.weight
"""


@pytest.fixture
def plan(tower):
    return make_plan(
        tower,
        {
            "share": [
                {"tie": ["embed.weight", "head.weight"], "name": "E"},
                "layers.{l}.up.weight = W[l % 2]",
            ],
            "parameters": {"W": {"init": "normal(0.02)", "lr": 0.5, "weight_decay": 0}},
        },
    )


def test_text(plan):
    assert str(plan).startswith(TEXT)


def test_json_round_trip(plan, tower):
    again = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again == plan and str(again) == str(plan)
    tie(tower, again)
    assert tower.layers[3]["up"].weight is tower.layers[1]["up"].weight


def test_copies(plan):
    assert copy.deepcopy(plan) is plan
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_html(plan):
    assert "<table" in plan._repr_html_()


@pytest.mark.parametrize("data", [{}, {"version": 1}, {"version": 9, "spec": {}, "graph": {}, "steps": []}, [], None])
def test_what_is_no_plan(data):
    with pytest.raises(ConfigError):
        Plan.from_dict(data)
