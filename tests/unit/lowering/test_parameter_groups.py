"""Optimizer policies become groups in which each trainable parameter stands once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_tying.api import tie
from lightning_tying.lowering.parameter_groups import parameter_groups


@pytest.mark.filterwarnings("ignore:W2")
def test_groups(tower):
    tie(
        tower,
        {
            "share": ["layers.{l}.up.weight = W[l % 2]", "layers.{l}.norm.{n} = N[n]", "embed.weight = E"],
            "parameters": {"W": {"lr": 0.5}, "N": {"weight_decay": 0}, "E": {"frozen": True}},
        },
    )
    parent = nn.ModuleDict({"network": tower, "extra": nn.Linear(2, 2)})
    groups = parameter_groups(parent)
    assert [(group["lr_scale"], group["weight_decay_scale"]) for group in groups] == [(1, 1), (0.5, 1), (1, 0)]
    every = [id(parameter) for group in groups for parameter in group["params"]]
    trainable = [id(parameter) for parameter in parent.parameters() if parameter.requires_grad]
    assert len(every) == len(set(every)) and set(every) == set(trainable)
    assert groups[1]["params"][0] is tower.layers[0]["up"].weight
    torch.optim.AdamW([dict(group) for group in groups])


def test_untied_module_has_one_group():
    module = nn.Linear(2, 2)
    (group,) = parameter_groups(module)
    assert [id(p) for p in group["params"]] == [id(p) for p in module.parameters()]
