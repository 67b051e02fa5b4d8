"""FQNs lead to the same slot with and without torch's wrappers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_tying.errors import TieBroken
from lightning_tying.lowering.resolve import find_slots, without_wrappers


def test_wrappers():
    inner = nn.Linear(2, 2)
    module = nn.Sequential(torch.compile(inner, backend="eager"))
    slot = find_slots(module, ["0.weight"])["0.weight"]
    assert slot.module is inner and slot.key == "0._orig_mod.weight" and slot.read() is inner.weight
    assert slot.key in module.state_dict()


def test_names():
    assert without_wrappers("a._orig_mod._checkpoint_wrapped_module.b") == "a.b"
    assert without_wrappers("a.b") == "a.b"


def test_parameter_lists():
    module = nn.ModuleDict({"list": nn.ParameterList([torch.zeros(2), torch.zeros(2)])})
    slots = find_slots(module, ["list.0", "list.1"])
    slots["list.1"].write(slots["list.0"].read())
    assert module["list"][1] is module["list"][0]


def test_own_parameter_of_the_root():
    module = nn.Linear(2, 2)
    assert find_slots(module, ["bias"])["bias"].read() is module.bias


def test_missing_module():
    with pytest.raises(TieBroken, match=r"a is not a module any more: the root \(Linear\) has no `a`"):
        find_slots(nn.Linear(2, 2), ["a.weight"])
