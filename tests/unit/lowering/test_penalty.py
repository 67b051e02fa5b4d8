"""Penalties: the number, its gradients on both sides, its weight, and where there is none."""

from __future__ import annotations

import copy
import pickle

import torch
from torch import nn

from lightning_tying.api import tie, untie
from lightning_tying.lowering.penalty import has_penalty, reckon_penalty


def towers(dtype=torch.float64):
    return nn.ModuleDict({name: nn.Linear(5, 3, dtype=dtype) for name in ("a", "b", "c", "center")})


SPEC = {
    "share": [
        "center.weight = C",
        {"sites": "{m:a|b}.weight", "equals": "C", "penalty": 0.5},
        {"sites": "c.weight", "equals": "2 * stop(C)", "penalty": 3},
        {"sites": "a.bias", "equals": "D", "penalty": 0},
        "{m:b|c}.bias = D",
    ]
}


def by_hand(a, b, c, center):
    return (
        0.5 * ((a - center) ** 2).sum() + 0.5 * ((b - center) ** 2).sum() + 3 * ((c - 2 * center.detach()) ** 2).sum()
    )


def test_number_and_gradients_on_both_sides():
    module = towers()
    tie(module, SPEC)
    weights = [module[name].weight for name in ("a", "b", "c", "center")]
    expected = by_hand(*weights)
    found = reckon_penalty(module)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    wanted = torch.autograd.grad(expected, weights)
    given = torch.autograd.grad(found, weights)
    for one, other in zip(given, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


def test_a_derived_site_is_compared_by_its_value():
    module = towers()
    tie(module, {"share": ["center.weight = C", "a.weight = C + low_rank(2)", "b.weight = B",
                           {"sites": "{m:a|b}.weight", "equals": "C", "penalty": 2}]})  # fmt: skip
    with torch.no_grad():
        module["a"].parametrizations.weight[0].low_rank_B.normal_()
    delta = module["a"].parametrizations.weight[0]
    expected = (
        2 * ((delta.low_rank_B @ delta.low_rank_A) ** 2).sum()
        + 2 * ((module["b"].weight - module["center"].weight) ** 2).sum()
    )
    torch.testing.assert_close(reckon_penalty(module), expected, rtol=1e-12, atol=0)
    reckon_penalty(module).backward()
    assert float(delta.low_rank_B.grad.abs().sum()) > 0


def test_none_without_one():
    module = towers()
    assert reckon_penalty(module) is None and not has_penalty(module)
    tie(module, {"share": ["{m:a|b}.weight = W"]})
    assert reckon_penalty(module) is None and not has_penalty(module)
    only_zero = towers()
    tie(only_zero, {"share": ["center.weight = C", {"sites": "a.weight", "equals": "C", "penalty": 0}]})
    assert reckon_penalty(only_zero) is None and not has_penalty(only_zero)


def test_inside_a_parent_copied_and_pickled():
    parent = nn.ModuleDict({"network": towers(), "other": nn.Linear(2, 2)})
    tie(parent["network"], SPEC)
    expected = reckon_penalty(parent)
    for other in (copy.deepcopy(parent), pickle.loads(pickle.dumps(parent))):
        assert torch.equal(reckon_penalty(other), expected)
        with torch.no_grad():
            other["network"]["a"].weight.add_(1)
        assert not torch.equal(reckon_penalty(other), expected)
    assert torch.equal(reckon_penalty(parent), expected)


def test_wide_under_autocast():
    module = towers(torch.bfloat16)
    tie(module, SPEC)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = reckon_penalty(module)
    assert found.dtype == torch.float32
    expected = by_hand(*(module[name].weight.float() for name in ("a", "b", "c", "center")))
    torch.testing.assert_close(found, expected)


def test_untying_the_center_ends_its_penalties():
    module = towers()
    tie(module, SPEC)
    untie(module, ["a.weight"])
    assert has_penalty(module)  # the site need not be bound
    untie(module)
    assert reckon_penalty(module) is None
