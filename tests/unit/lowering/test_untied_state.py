"""The weights of a tied module for the untied model."""

from __future__ import annotations

import pytest
import torch

from lightning_tying.api import get_plan, tie, verify
from lightning_tying.lowering.state_dicts.untied_state import untied_state_dict

DERIVED = {
    "share": [
        {"tie": ["embed.weight", "head.weight"]},
        {"sites": "layers.{l}.up.weight", "equals": "W + low_rank(2)"},
        {"sites": "layers.{l}.norm.{n}", "equals": "norm[n]"},
    ]
}


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
def test_it_loads_strictly_and_computes_the_same(tower, new_tower, tokens):
    tie(tower, DERIVED)
    before = {key: value.clone() for key, value in tower.state_dict().items()}
    state = untied_state_dict(tower)
    plain = new_tower()
    plain.load_state_dict(state)
    assert torch.equal(plain(tokens), tower(tokens))
    assert plain.embed.weight is not plain.head.weight and state["embed.weight"] is state["head.weight"]
    verify(tower)
    assert get_plan(tower).graph.derived and all(torch.equal(v, before[k]) for k, v in tower.state_dict().items())
    state["embed.weight"].zero_()
    assert tower.embed.weight.abs().sum() > 0  # memory of its own


def test_an_untied_module_gives_its_own_state_dict(tower):
    assert untied_state_dict(tower).keys() == tower.state_dict().keys()
