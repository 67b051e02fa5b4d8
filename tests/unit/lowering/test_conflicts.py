"""Two values for one parameter: told with names and difference, or settled by the policy."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import nn

from lightning_tying.api import get_plan, tie, verify
from lightning_tying.errors import ApplyError, ConfigError, ConflictError
from lightning_tying.lowering.state_dicts.checkpoint import fill_aliases, index_keys
from lightning_tying.lowering.state_dicts.conflicts import average, find_conflicts, same_memory

DERIVED = {"share": [{"sites": "layers.{l}.up.weight", "equals": "W + scale(V)"}]}


def plain_state(new_tower, **changed):
    """What an untied model saved: each place its own values."""
    state = {key: value.clone() for key, value in new_tower().state_dict().items()}
    return state | changed


def agreeing_state(tower):
    return {key: value.clone() for key, value in tower.state_dict().items()}


def test_the_error_names_both_sites_and_the_difference(tower, spec):
    tie(tower, spec)
    state = agreeing_state(tower)
    state["head.weight"][3, 1] += 0.25
    state["head.weight"][0, 0] -= 0.125
    before = state["embed.weight"].clone()
    with pytest.raises(ConflictError) as error:
        tower.load_state_dict(state)
    text = str(error.value)
    assert "`E` is one parameter, and head.weight has another value than embed.weight" in text
    assert "by up to 0.25 at [3, 1], 2 of 96 numbers" in text and 'on_conflict="owner"' in text
    assert torch.equal(tower.embed.weight, before)


@pytest.mark.parametrize(("value", "largest"), [(math.nan, math.inf), (math.inf, math.inf), (2.0, 2.0)])
def test_what_is_no_number_differs_without_end(tower, spec, value, largest):
    tie(tower, spec)
    state = agreeing_state(tower)
    for name in ("embed.weight", "head.weight"):
        state[name][1, 1] = 0.0
        state[name][2, 2] = math.nan  # in both: equal
    state["head.weight"][1, 1] = value
    (conflict,) = find_conflicts(state, index_keys(state, ""), get_plan(tower))
    (difference,) = conflict.differences
    assert (difference.largest, difference.where, difference.count) == (largest, (1, 1), 1)


def test_many_differences_are_told_in_part(tower, new_tower):
    tie(tower, {"share": ["layers.{l}.{name*} = block[name]"]})
    state = plain_state(new_tower)
    (first, *_) = find_conflicts(state, index_keys(state, ""), get_plan(tower))
    assert len(first.differences) == 3
    assert str(first).count("by up to") == 3 and "layers.1.up.weight by up to" in str(first)


def test_owner_takes_the_owners_value(tower, new_tower, spec):
    tie(tower, spec, on_conflict="owner")
    state = plain_state(new_tower)
    tower.load_state_dict(state)
    assert torch.equal(tower.head.weight, state["embed.weight"])
    assert torch.equal(tower.layers[3]["up"].weight, state["layers.1.up.weight"])
    verify(tower)


def test_owner_without_its_entry_is_the_first_site_that_has_one(tower, new_tower, spec):
    tie(tower, spec, on_conflict="owner")
    state = plain_state(new_tower)
    del state["layers.0.up.weight"]
    tower.load_state_dict(state)
    assert torch.equal(tower.layers[0]["up"].weight, state["layers.2.up.weight"])


def test_mean_counts_each_name_once(tower, new_tower):
    tie(tower, {"share": ["layers.{l}.{name*} = block[name]"]}, on_conflict="mean")
    state = plain_state(new_tower)
    kept = {key: value.clone() for key, value in state.items()}
    tower.load_state_dict(state)
    expected = torch.stack([state[f"layers.{i}.up.weight"].double() for i in range(4)]).mean(0).float()
    assert torch.equal(tower.layers[2]["up"].weight, expected)
    assert all(torch.equal(state[key], kept[key]) for key in kept)  # the caller's tensors are not written to


def test_mean_of_halves_is_reckoned_in_double():
    one = torch.tensor([1.0, 65504.0], dtype=torch.float16)
    assert torch.equal(average([one, one, one]), one)
    assert average([torch.tensor([1.0 + 2j]), torch.tensor([3.0 + 0j])]).tolist() == [2 + 1j]


def test_untie_parts_only_what_differs(tower, spec, tokens):
    tie(tower, spec, on_conflict="untie")
    state = agreeing_state(tower)
    state["layers.2.up.weight"] += 1.0
    tower.load_state_dict(state)
    assert tower.layers[2]["up"].weight is not tower.layers[0]["up"].weight
    assert tower.layers[2]["up"].bias is tower.layers[0]["up"].bias and tower.head.weight is tower.embed.weight
    assert torch.equal(tower.layers[2]["up"].weight, state["layers.2.up.weight"])
    assert "layers.2.up.weight" not in get_plan(tower).sites
    verify(tower)
    state["layers.1.norm.bias"] += 1.0
    tower.load_state_dict(state)  # a second load parts more
    assert tower.layers[1]["norm"].bias is not tower.layers[3]["norm"].bias


@pytest.mark.parametrize("around", [False, True])
def test_untie_of_the_last_tie_leaves_a_plain_module(tower, new_tower, tokens, around):
    tie(tower, {"share": [{"tie": ["embed.weight", "head.weight"]}]}, on_conflict="untie")
    state, plain = plain_state(new_tower), new_tower()
    module = nn.ModuleDict({"inner": tower}) if around else tower
    module.load_state_dict({f"inner.{key}": value for key, value in state.items()} if around else state)
    plain.load_state_dict(state)
    assert torch.equal(tower(tokens), plain(tokens))
    with pytest.raises(ApplyError, match="not tied"):
        get_plan(tower)
    tie(tower, {"share": [{"tie": ["embed.weight", "head.weight"]}]})
    with pytest.raises(ConflictError):
        tower.load_state_dict(state)


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
def test_untie_gives_derived_sites_the_tensors_of_an_untied_model(tower, new_tower, tokens):
    tie(tower, DERIVED, on_conflict="untie")
    state, plain = plain_state(new_tower), new_tower()
    tower.load_state_dict(state)
    plain.load_state_dict(state)
    assert torch.equal(tower(tokens), plain(tokens)) and type(tower.layers[0]["up"]) is nn.Linear


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
def test_a_slot_that_differs_cannot_be_untied(tower):
    tie(tower, DERIVED, on_conflict="untie")
    state = agreeing_state(tower)
    state["layers.2.up.parametrizations.weight.0.W"] += 1
    with pytest.raises(ConflictError, match=r"`W` is one parameter(.|\n)*`owner` or `mean`"):
        tower.load_state_dict(state)
    tie(tower, DERIVED, on_conflict="mean")
    tower.load_state_dict(state)
    assert torch.allclose(
        tower.layers[0]["up"].parametrizations.weight[0].W, state["layers.0.up.parametrizations.weight.0.W"] + 0.25
    )


def test_untie_is_refused_once_an_optimizer_has_the_parameters(tower, new_tower, spec):
    tie(tower, spec, on_conflict="untie")
    optimizer = torch.optim.SGD(tower.parameters(), lr=0.1)
    before = agreeing_state(tower)
    with pytest.raises(ConflictError, match=r"the optimizer SGD holds the parameters(.|\n)*right after tie"):
        tower.load_state_dict(plain_state(new_tower))
    assert all(torch.equal(value, before[key]) for key, value in tower.state_dict().items())
    del optimizer
    tower.load_state_dict(plain_state(new_tower))


def test_the_last_tie_decides_and_copies_keep_it(tower, new_tower, spec):
    tie(tower, spec, on_conflict="untie")
    tie(tower, spec, on_conflict="owner")
    state = plain_state(new_tower)
    for copied in (copy.deepcopy(tower), pickle.loads(pickle.dumps(tower))):
        copied.load_state_dict(state)
        assert copied.head.weight is copied.embed.weight and torch.equal(copied.head.weight, state["embed.weight"])
    tie(tower, spec)
    with pytest.raises(ConflictError):
        tower.load_state_dict(state)


def test_copies_of_a_module_that_unties_do_so_alone(tower, new_tower, spec):
    tie(tower, spec, on_conflict="untie")
    copied = pickle.loads(pickle.dumps(copy.deepcopy(tower)))
    copied.load_state_dict(plain_state(new_tower))
    assert copied.head.weight is not copied.embed.weight
    verify(tower)
    assert tower.head.weight is tower.embed.weight


def test_a_word_that_is_no_policy_changes_nothing(tower, spec):
    with pytest.raises(ConfigError, match="one of error, owner, mean, untie, not 'first'"):
        tie(tower, spec, on_conflict="first")
    assert tower.head.weight is not tower.embed.weight


def test_the_modules_own_parameters_say_nothing_beside_a_new_value(tower, spec):
    """Torch's loaders of sharded modules hand them over for what they do not load."""
    tie(tower, spec)
    state = dict(tower.named_parameters(remove_duplicate=False))
    state["embed.weight"] = torch.ones(12, 8)
    tower.load_state_dict(state, strict=False)
    assert torch.equal(tower.head.weight, torch.ones(12, 8))


def test_policies_on_a_state_dict_alone(tower, new_tower, spec):
    tie(tower, spec)
    state = {f"network.{key}": value for key, value in plain_state(new_tower).items()}
    fill_aliases(state, get_plan(tower), "network.", on_conflict="owner")
    assert same_memory(state["network.head.weight"], state["network.embed.weight"])
    again = dict(state)
    fill_aliases(again, get_plan(tower), "network.", on_conflict="owner")
    assert all(again[key] is state[key] for key in state)
