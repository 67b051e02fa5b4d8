"""`untie`: sites become independent, values stay, hooks go."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_tying.api import get_plan, tie, untie, verify
from lightning_tying.errors import ApplyError


def test_all(tower, spec, tokens):
    tie(tower, spec)
    before, names = tower(tokens), sorted(vars(tower))
    untie(tower)
    assert torch.equal(tower(tokens), before)
    assert len(list(tower.parameters())) == len(list(tower.named_parameters(remove_duplicate=False)))
    assert set(names) - set(vars(tower)) == {"_apply", "_lightning_tying", "load_state_dict"}
    assert not tower._load_state_dict_pre_hooks and not tower._load_state_dict_post_hooks
    with pytest.raises(ApplyError, match="not tied"):
        get_plan(tower)
    tie(tower, {"share": [{"tie": ["embed.weight", "head.weight"]}]})
    verify(tower)


def test_some(tower, spec):
    tie(tower, spec)
    owner = tower.embed.weight
    untie(tower, ["head.weight", "layers.0.up.weight"])
    assert tower.embed.weight is owner and tower.head.weight is not owner
    assert torch.equal(tower.head.weight, owner)
    assert tower.layers[2]["up"].bias is tower.layers[0]["up"].bias
    plan = get_plan(tower)
    assert "head.weight" not in plan.sites and "layers.0.up.weight" not in plan.sites
    tower.to_empty(device="cpu")
    verify(tower)
    assert tower.head.weight is not tower.embed.weight


@pytest.mark.parametrize("again", ["spec", "plan", "permuted"])
@pytest.mark.parametrize("gone", [["head.weight", "layers.0.up.weight"], ["embed.weight"], ["layers.3.up.bias"]])
def test_tied_again_by_the_whole_plan(tower, spec, again, gone):
    plan = tie(tower, spec)
    shared, optimized = tower.head.weight, tower.layers[2]["up"].weight
    untie(tower, gone)
    with torch.no_grad():
        for site in gone:
            tower.get_parameter(site).add_(1)
    kept = tower.embed.weight if "head.weight" in gone else tower.head.weight
    value = kept.detach().clone()
    source = {"spec": spec, "plan": plan, "permuted": {"share": spec["share"][::-1]}}[again]
    assert tie(tower, source) is plan and get_plan(tower) is plan
    verify(tower)
    assert tower.head.weight is tower.embed.weight is shared and torch.equal(shared, value)
    assert tower.layers[0]["up"].weight is optimized  # what was left of the group, which an optimizer may hold
    tower.head.reset_parameters()
    assert torch.equal(tower.embed.weight, value)  # one initializer for each parameter again
    tower.to_empty(device="cpu")
    verify(tower)


def test_the_rest_is_a_plan_of_its_own(tower, spec):
    whole = tie(tower, spec)
    untie(tower, ["head.weight"])
    rest = get_plan(tower)
    assert tie(tower, rest) is rest and tower.head.weight is not tower.embed.weight
    with pytest.raises(ApplyError, match="also has the shared parameter `E`"):
        tie(tower, {"share": spec["share"][1:]})
    assert tie(tower, whole) is whole


def test_an_untied_site_of_another_shape_is_not_tied_again(tower, spec):
    plan = tie(tower, spec)
    untie(tower, ["head.weight"])
    tower.head.weight = nn.Parameter(torch.zeros(5, 8))
    layers = [id(p) for p in tower.parameters()]
    with pytest.raises(ApplyError, match=r"`E`: embed.weight is \[12, 8\] and head.weight \[5, 8\]"):
        tie(tower, plan)
    assert [id(p) for p in tower.parameters()] == layers and get_plan(tower) is not plan


def test_untied_owner_hands_over(tower):
    tie(tower, {"share": [{"sites": "layers.{l}.up.weight", "equals": "W"}]})
    shared = tower.layers[0]["up"].weight
    untie(tower, ["layers.0.up.weight"])
    assert tower.layers[0]["up"].weight is not shared
    assert all(tower.layers[i]["up"].weight is shared for i in (1, 2, 3))
    assert get_plan(tower).steps[0].owner == "layers.1.up.weight"


def test_requires_grad_is_kept(tower):
    tie(
        tower, {"share": [{"tie": ["embed.weight", "head.weight"], "name": "E"}], "parameters": {"E": {"frozen": True}}}
    )
    untie(tower)
    assert not tower.head.weight.requires_grad


def test_ties_made_by_hand(tower):
    tower.head.weight = tower.embed.weight
    untie(tower, ["head.weight"])
    assert tower.head.weight is not tower.embed.weight


def test_unknown_site_changes_nothing(tower, spec):
    tie(tower, spec)
    with pytest.raises(ApplyError, match=r"heed.weight is not a site of this module. Nearest: head.weight"):
        untie(tower, ["layers.2.up.weight", "heed.weight"])
    assert tower.layers[2]["up"].weight is tower.layers[0]["up"].weight


def test_one_module_at_two_paths():
    shared = nn.Linear(4, 4)
    module = nn.ModuleDict({"a": shared, "b": shared, "c": nn.Linear(4, 4)})
    with pytest.raises(ApplyError, match="one module at two paths"):
        untie(module, ["a.weight"])
    tie(module, {"share": [{"tie": ["a.weight", "c.weight"]}]})
    untie(module)
    assert module["c"].weight is not module["a"].weight and module["a"].weight is module["b"].weight


def test_inside_a_parent(tower, spec):
    tie(tower, spec)
    parent = nn.ModuleDict({"network": tower})
    untie(parent, ["network.head.weight"])
    assert "head.weight" not in get_plan(tower).sites
    untie(parent)
    parent.double()
    assert tower.layers[2]["up"].weight is not tower.layers[0]["up"].weight
