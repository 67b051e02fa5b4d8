"""Sites that are computed: tied, converted, loaded, untied and verified like aliases, through their slots."""

from __future__ import annotations

import copy
import json
import pickle
import re
import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import lightning_tying.lowering.apply as applying
from lightning_tying.api import get_plan, make_plan, tie, untie, verify
from lightning_tying.errors import ApplyError, ConflictError, SharingWarning, SpecError, TieBroken
from lightning_tying.lowering.parameter_groups import parameter_groups
from lightning_tying.lowering.plan import Alias, Parametrize, Plan
from lightning_tying.lowering.state import read_state
from lightning_tying.lowering.state_dicts.checkpoint import drop_aliases

SPEC = {
    "share": [
        {
            "sites": "layers.{l}.up.weight",
            "equals": "W[l % 2] + low_rank(2)",
            "init": {"W": "mean", "low_rank": "svd"},
        },
        "layers.{l}.norm.weight = N",
        {"sites": "layers.{l}.norm.bias", "equals": "scale(B)"},
        {"tie": ["embed.weight", "head.weight"], "name": "E"},
    ],
    "parameters": {"low_rank": {"lr": 0.5, "weight_decay": 0}, "scale.s": {"frozen": True}},
}
UP = "layers.{}.up.parametrizations.weight.0.{}"


@pytest.fixture(autouse=True)
def far_values_are_meant():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)
        yield


@pytest.fixture
def tied(tower):
    tie(tower, SPEC)
    return tower


def slots_of(module, layer):
    return module.layers[layer]["up"].parametrizations.weight[0]


def picture(module):
    named = dict(module.named_parameters(remove_duplicate=False))
    kinds = [type(part) for part in module.modules()]
    names = [(sorted(vars(part)), list(part._parameters), list(part._modules)) for part in module.modules()]
    return kinds, names, {name: (id(p), p.requires_grad) for name, p in named.items()}


def test_the_slots_of_one_group_hold_one_parameter(tied):
    first, third = slots_of(tied, 0), slots_of(tied, 2)
    assert first.W is third.W and first.W is not slots_of(tied, 1).W
    assert first.low_rank_A is not third.low_rank_A
    keys = {UP.format(layer, slot) for layer in range(4) for slot in ("W", "low_rank_A", "low_rank_B")}
    assert keys <= set(tied.state_dict()) and "layers.0.up.weight" not in tied.state_dict()
    verify(tied)


def test_the_plan_lists_and_counts_both_kinds_of_steps(tower):
    plan = make_plan(tower, SPEC)
    assert str(plan).startswith("plan: 4 aliases, 8 parametrizations\n")
    first = plan.steps[0]
    assert first == Parametrize(
        "layers.0.up.weight",
        tuple((slot, UP.format(0, slot)) for slot in ("W", "low_rank_A", "low_rank_B")),
    )
    assert Alias("head.weight", "embed.weight") in plan.steps
    assert Alias(UP.format(2, "W"), UP.format(0, "W")) in plan.links and len(plan.places) == len(set(plan.places))
    again = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again == plan
    tie(tower, again)
    verify(tower)


def test_the_value_is_what_the_spec_says(tied):
    for layer in range(4):
        held = slots_of(tied, layer)
        expected = held.W + held.low_rank_B @ held.low_rank_A
        torch.testing.assert_close(tied.layers[layer]["up"].weight, expected)


def test_twice_is_once(tied):
    before = picture(tied)
    plan = get_plan(tied)
    assert tie(tied, SPEC) is plan and tie(tied, plan) is plan
    assert tie(tied, {**SPEC, "share": SPEC["share"][::-1]}) is plan
    assert picture(tied) == before


def test_another_value_is_another_spec(tied):
    other = copy.deepcopy(SPEC)
    other["share"][0]["equals"] = "W[l % 2] - low_rank(2)"
    before = picture(tied)
    with pytest.raises(ApplyError, match=r"already tied by another spec.*layers\.0\.up\.weight is computed in another"):
        tie(tied, other)
    assert picture(tied) == before


@pytest.mark.parametrize("fails", ["parametrize_site", "link", "install_readers", "install_hooks"])
@pytest.mark.parametrize("calls", [0, 3])
def test_a_failure_takes_everything_back(tower, tokens, monkeypatch, fails, calls):
    real, count = getattr(applying, fails), [0]

    def fail(*arguments):
        count[0] += 1
        if count[0] > calls or fails != "parametrize_site":
            real(*arguments) if fails == "install_hooks" else None
            raise RuntimeError("injected")
        return real(*arguments)

    before, output = picture(tower), tower(tokens)
    monkeypatch.setattr(applying, fails, fail)
    with pytest.raises(RuntimeError, match="injected"):
        tie(tower, SPEC)
    assert picture(tower) == before and torch.equal(tower(tokens), output)
    assert read_state(tower) is None and not tower._load_state_dict_pre_hooks
    monkeypatch.undo()
    tie(tower, SPEC)
    verify(tower)


def test_max_norm_is_refused(tower):
    tower.embed.max_norm = 1.0
    before = picture(tower)
    with pytest.raises(ApplyError, match=r"embed\.weight has max_norm.*Set max_norm=None"):
        tie(tower, {"share": ["embed.weight = E + low_rank(2)"]})
    assert picture(tower) == before


MOVES = {
    "double": lambda m: m.double().float(),
    "bfloat16": lambda m: m.bfloat16(),
    "deepcopy": copy.deepcopy,
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "load": lambda m: m.load_state_dict({k: v.clone() for k, v in m.state_dict().items()}) and m,
    "assign": lambda m: m.load_state_dict({k: v.clone() for k, v in m.state_dict().items()}, assign=True) and m,
    "keepers only": lambda m: m.load_state_dict(drop_aliases(m.state_dict(), get_plan(m)), assign=True) and m,
    "meta and back": lambda m: m.to("meta").to_empty(device="cpu"),
}


@pytest.mark.parametrize("name", MOVES)
def test_ties_hold_through(tied, name):
    moved = MOVES[name](tied)
    verify(moved)
    assert slots_of(moved, 0).W is slots_of(moved, 2).W
    dtype = slots_of(moved, 0).W.dtype
    assert moved.layers[0]["up"].weight.dtype == dtype == moved.head.weight.dtype


def test_a_state_dict_gives_the_same_outputs(tied, new_tower, tokens):
    torch.manual_seed(7)
    fresh = new_tower()
    tie(fresh, SPEC)
    kept = drop_aliases(tied.state_dict(), get_plan(tied))
    assert UP.format(2, "W") not in kept and UP.format(0, "W") in kept
    assert not torch.equal(fresh(tokens), tied(tokens))
    fresh.load_state_dict(kept)
    assert torch.equal(fresh(tokens), tied(tokens))


def test_weights_of_the_untied_model_are_refused_with_the_way_to_do_it(tied, new_tower):
    before = {key: value.clone() for key, value in tied.state_dict().items()}
    for strict in (True, False):
        with pytest.raises(
            ConflictError, match=r"layers\.0\.up\.weight \(and 7 more\) is .* computed from `W\[0\]`.*tie"
        ):
            tied.load_state_dict(new_tower().state_dict(), strict=strict)
    assert all(torch.equal(before[key], value) for key, value in tied.state_dict().items())


def test_two_values_for_one_slot_are_a_conflict(tied):
    state = {key: value.clone() for key, value in tied.state_dict().items()}
    state[UP.format(2, "W")] += 1
    with pytest.raises(ConflictError, match=r"`W\[0\]` is one parameter, and layers\.2\.up\.parametrizations"):
        tied.load_state_dict(state)


def test_untie_leaves_a_plain_module(tower, new_tower, tokens):
    plain = picture(tower)
    order = list(tower.state_dict())
    tie(tower, SPEC)
    output = tower(tokens)
    untie(tower)
    torch.testing.assert_close(tower(tokens), output)
    assert picture(tower)[:2] == plain[:2] and list(tower.state_dict()) == order
    assert len({id(p) for p in tower.parameters()}) == len(order)
    new_tower().load_state_dict(tower.state_dict())


def test_untie_some(tied, tokens):
    output, shared = tied(tokens), slots_of(tied, 0).W
    whole = get_plan(tied)
    untie(tied, ["layers.0.up.weight", "head.weight"])
    torch.testing.assert_close(tied(tokens), output)
    assert type(tied.layers[0]["up"]) is nn.Linear and isinstance(tied.layers[0]["up"].weight, nn.Parameter)
    assert slots_of(tied, 2).W is shared
    rest = get_plan(tied)
    assert "layers.0.up.weight" not in rest.sites and rest != whole
    assert {str(group.name): group.keeper for group in rest.graph.groups}["W[0]"] == UP.format(2, "W")
    tied.double()
    verify(tied)
    assert tie(tied, rest) is rest
    before = picture(tied)
    with pytest.raises(ApplyError, match=r"layers\.0\.up\.weight: untied since.*untie\(module\), then tie"):
        tie(tied, whole)
    assert picture(tied) == before


def test_an_untied_alias_comes_back_beside_derived_sites(tied):
    whole = get_plan(tied)
    untie(tied, ["layers.1.norm.weight"])
    assert tie(tied, SPEC) is whole
    assert tied.layers[1]["norm"].weight is tied.layers[0]["norm"].weight
    verify(tied)


def test_an_alias_beside_a_slot_parts_from_it(tower):
    tie(tower, {"share": ["layers.0.up.weight = W", "layers.1.up.weight = t(W)"]})
    shared = tower.layers[0]["up"].weight
    assert tower.layers[1]["up"].parametrizations.weight[0].W is shared
    untie(tower, ["layers.0.up.weight"])
    assert tower.layers[0]["up"].weight is not shared
    assert tower.layers[1]["up"].parametrizations.weight[0].W is shared
    assert torch.equal(tower.layers[1]["up"].weight, tower.layers[0]["up"].weight.t())


def test_a_frozen_site_stays_frozen_when_untied(tied):
    held = slots_of(tied, 0)
    for parameter in held.parameters():
        parameter.requires_grad_(False)
    untie(tied, ["layers.0.up.weight", "layers.1.up.weight"])
    assert not tied.layers[0]["up"].weight.requires_grad and tied.layers[1]["up"].weight.requires_grad


def test_untying_keeps_the_mean_a_mean(tower):
    tie(tower, {"share": [{"sites": "layers.{l}.up.weight", "equals": "W", "grad": "mean"}]})
    assert [slots_of(tower, layer).factors for layer in range(4)] == [(0.25,)] * 4
    untie(tower, ["layers.3.up.weight", "layers.0.up.weight"])
    assert [slots_of(tower, layer).factors for layer in (1, 2)] == [(0.5,)] * 2


def test_values_without_dropout_are_kept(tower):
    tie(tower, {"share": ["layers.{l}.up.weight = drop(W, 0.5)"]})
    value = slots_of(tower, 0).W.detach().clone()
    untie(tower)
    assert torch.equal(tower.layers[0]["up"].weight, value)


def put_back(module):
    part = module.layers[2]["up"]
    del part._modules["parametrizations"]
    part.__class__ = nn.Linear
    part.weight = nn.Parameter(torch.zeros(8, 8))


def exchange(module):
    module.layers[2]["up"] = nn.Linear(8, 8)


def remove_module(module):
    module.layers[2]["up"] = nn.Identity()


def replace_slot(module):
    slots_of(module, 2).W = nn.Parameter(torch.zeros(8, 8))


def prune_slot(module):
    prune.random_unstructured(slots_of(module, 2), "W", 0.5)


BREAKS = {
    put_back: "holds a parameter of its own there",
    exchange: "holds a parameter of its own there",
    remove_module: "has lost its parametrization",
    replace_slot: "was replaced",
    prune_slot: "pruning",
}


@pytest.mark.parametrize("break_it", BREAKS)
def test_what_breaks_a_derived_site_is_named(tied, break_it):
    break_it(tied)
    with pytest.raises(TieBroken) as caught:
        verify(tied)
    assert "layers.2.up" in str(caught.value) and BREAKS[break_it] in str(caught.value)
    if break_it is replace_slot:
        tie(tied, get_plan(tied))
        verify(tied)
    else:
        with pytest.raises(TieBroken, match=r"layers\.2\.up"):
            tie(tied, get_plan(tied))


def test_weight_norm_on_top_keeps_the_tie(tied):
    parametrizations.weight_norm(tied.head, "weight")
    with pytest.raises(TieBroken, match="head"):
        verify(tied)


def test_optimizer_groups(tied):
    groups = parameter_groups(tied)
    by_scale = {(group["lr_scale"], group["weight_decay_scale"]): group["params"] for group in groups}
    ids = [id(p) for group in groups for p in group["params"]]
    assert len(ids) == len(set(ids)) == sum(p.requires_grad for p in tied.parameters())
    low_rank = {
        id(p) for layer in range(4) for p in (slots_of(tied, layer).low_rank_A, slots_of(tied, layer).low_rank_B)
    }
    assert {id(p) for p in by_scale[0.5, 0.0]} == low_rank
    frozen = [p for name, p in tied.named_parameters() if name.endswith("scale_s")]
    assert frozen and not any(p.requires_grad for p in frozen) and not {id(p) for p in frozen} & set(ids)


def test_two_paths_to_one_module():
    shared = nn.Linear(4, 4)
    module = nn.ModuleDict({"a": shared, "b": shared, "c": nn.Linear(4, 4)})
    tie(module, {"share": ["{m:a|b|c}.weight = t(W)"]})
    assert len(list(shared.parametrizations)) == 1
    assert module["c"].parametrizations.weight[0].W is shared.parametrizations.weight[0].W
    verify(module)
    value = shared.weight.detach().clone()
    untie(module)
    assert torch.equal(module["b"].weight, value) and type(shared) is nn.Linear


class TwoParts(nn.Module):
    """Two parts that are tied by themselves before the whole is."""

    def __init__(self, share: list[Any]) -> None:
        super().__init__()
        self.a, self.b = (nn.ModuleList(nn.Linear(4, 4) for _ in range(2)) for _ in range(2))
        for part in (self.a, self.b):
            tie(part, {"share": share})


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (["0.weight = W", "1.weight = t(W)"], "a.0.weight is read by a.1.weight, which is computed"),
        (["0.weight = W + low_rank(1)", "1.weight = W"], "a.0.weight is computed by a spec"),
    ],
)
def test_what_a_part_computes_is_not_bound_by_the_whole(share: list[Any], text: str) -> None:
    whole = TwoParts(share)
    before = dict(whole.named_parameters(remove_duplicate=False))

    with pytest.raises(SpecError, match=re.escape(text)):
        tie(whole, {"share": ["{m:a|b}.0.weight = Z"]})

    verify(whole)
    after = dict(whole.named_parameters(remove_duplicate=False))
    assert before.keys() == after.keys()
    assert all(after[name] is parameter for name, parameter in before.items())
