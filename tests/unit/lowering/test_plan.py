"""A plan prints well and survives JSON."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace

import pytest

from lightning_tying.api import make_plan, tie
from lightning_tying.errors import ApplyError, ConfigError
from lightning_tying.lowering.plan import Alias, Plan

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


CORRUPT = {
    "unknown alias": (("steps", 0, "alias"), "x"),
    "no step": (("steps",), []),
    "name": (("graph", "groups", 0, "name", "family"), 3),
    "no use": (("graph", "groups", 0, "uses"), []),
    "site": (("graph", "groups", 0, "uses", 0, "site"), None),
    "init": (("graph", "groups", 0, "policy", "init"), "svdd"),
    "init site": (("graph", "groups", 0, "policy", "init_sites"), [3]),
    "lr": (("graph", "groups", 0, "policy", "lr"), "x"),
    "shape": (("graph", "groups", 0, "meta", "shape"), ["x"]),
    "negative shape": (("graph", "private", 0, "meta", "shape"), [-1]),
    "dtype": (("graph", "private", 0, "meta", "dtype"), [1]),
    "trainable": (("graph", "groups", 0, "meta", "trainable"), 3),
    "private": (("graph", "private", 0, "fqn"), {}),
}


@pytest.mark.parametrize("what", CORRUPT)
def test_a_damaged_file_is_refused(plan, what):
    data = json.loads(json.dumps(plan.to_dict()))
    path, value = CORRUPT[what]
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError, match=r"Pass what Plan\.to_dict\(\) returned"):
        Plan.from_dict(data)


@pytest.mark.parametrize("wrong", [{"graph": None}, {"steps": None}, {"steps": (Alias("9.weight", "0.weight"),)}])
def test_a_plan_made_by_hand_is_checked_before_it_is_applied(plan, tower, wrong):
    before = [id(p) for p in tower.parameters()]
    with pytest.raises(ApplyError, match="steps are not those of its graph"):
        tie(tower, replace(plan, **wrong))
    assert [id(p) for p in tower.parameters()] == before
