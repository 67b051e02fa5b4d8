"""Splits keep every output bit for bit, joins take the value that was asked for, and a refusal changes nothing."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import torch
from torch import nn

from lightning_tying import get_plan, tie, untie, verify
from lightning_tying.api import join, split
from lightning_tying.errors import ApplyError
from lightning_tying.lowering.edits.rewire import carry_out
from lightning_tying.lowering.edits.split import prepare_split
from lightning_tying.models import DecoderLM

TOKENS = torch.arange(14).reshape(2, 7)
UP = [f"layers.{layer}.mlp.up.weight" for layer in range(4)]
SPECS: dict[str, tuple[dict[str, Any], str]] = {
    "aliases": ({"share": ["layers.{l}.{name*} = block[name]"]}, "block[mlp.up.weight]"),
    "tie": ({"share": [{"tie": ["embed.weight", "head.weight"]}]}, "embed.weight"),
    "named tie": ({"share": [{"tie": UP, "name": "U"}], "parameters": {"U": {"lr": 0.5}}}, "U"),
    "transposed": ({"share": ["layers.{l}.mlp.up.weight = W", "layers.{l}.mlp.down.weight = t(W)"]}, "W"),
    "low_rank": ({"share": ["layers.{l}.mlp.up.weight = Q + low_rank(2)"]}, "Q"),
    "what a function brings": ({"share": ["layers.{l}.mlp.up.weight = Q + low_rank(2)[0]"]}, "low_rank.B[0]"),
    "mix": ({"share": ["layers.{l}.mlp.up.weight = mix(T, 2)"]}, "T"),
    "rows": (
        {
            "share": ["embed.weight = rows(V, map=3 * i0 % 40)", "head.weight = rows(V, map=(i0 + 1) % 40)"],
            "parameters": {"V": {"shape": [40, 16], "init": "normal"}},
        },
        "V",
    ),
    "hashed": (
        {"share": ["layers.{l}.mlp.up.weight = hashed(T)"], "parameters": {"T": {"shape": [200]}}},
        "T",
    ),
    "concat": (
        {"share": ["layers.{l}.mlp.up.weight = concat(H, K)"], "parameters": {"H": {"shape": [24, 16]}}},
        "H",
    ),
    "tt": ({"share": ["layers.{l}.mlp.up.weight = tt(C, [8, 8], [4, 4], 3)"]}, "C[0]"),
    "penalty": (
        {
            "share": [
                {"tie": UP, "name": "U"},
                {"sites": "layers.{l}.mlp.gate.weight", "equals": "U", "penalty": 0.1},
            ]
        },
        "U",
    ),
    "gradients": ({"share": [{"sites": "layers.{l}.mlp.up.weight", "equals": "W", "grad": {"scale": 0.5}}]}, "W"),
}


def _network(spec: dict[str, Any], seed: int = 0) -> DecoderLM:
    torch.manual_seed(seed)
    network = DecoderLM(vocab_size=30, dim=16, depth=4, heads=2)
    tie(network, spec)
    return network


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _sites(network: nn.Module, name: str) -> tuple[str, ...]:
    return next(group.sites for group in get_plan(network).graph.groups if str(group.name) == name)


def _halves(network: nn.Module, name: str) -> list[list[str]]:
    sites = _sites(network, name)
    return [list(sites[::2]), list(sites[1::2])]


@pytest.mark.parametrize("case", SPECS)
def test_a_split_changes_no_output_and_its_spec_says_it(case: str) -> None:
    spec, name = SPECS[case]
    network = _network(spec)
    before, count = network(TOKENS), _count(network)
    group = next(each for each in get_plan(network).graph.groups if str(each.name) == name)
    plan = split(network, name, _halves(network, name))
    verify(network)
    assert torch.equal(network(TOKENS), before)
    assert _count(network) >= count + group.meta.numel
    again = DecoderLM(vocab_size=30, dim=16, depth=4, heads=2)
    tie(again, plan.spec.dump())
    assert get_plan(again).graph.groups == plan.graph.groups  # names, uses and policies
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(TOKENS), before)


@pytest.mark.parametrize("case", SPECS)
def test_each_part_has_the_gradient_of_its_own_uses(case: str) -> None:
    spec, name = SPECS[case]
    network = _network(spec)
    whole = copy.deepcopy(network)
    split(network, name, _halves(network, name))
    for each in (network, whole):
        each(TOKENS).square().mean().backward()
    sums: list[torch.Tensor] = []
    for each in (network, whole):
        shared = {str(group.name): group.keeper for group in get_plan(each).graph.groups}
        every = dict(each.named_parameters(remove_duplicate=False))
        shape = every[dict.fromkeys([shared[name]] if name in shared else [name]).popitem()[0]].shape
        found = {id(one): one for one in every.values() if one.shape == shape and one.grad is not None}
        sums.append(torch.stack([one.grad for one in found.values() if one.grad is not None]).double().sum(0))
    torch.testing.assert_close(*sums, rtol=1e-4, atol=1e-6)


def test_the_owners_part_keeps_its_parameter_and_its_name() -> None:
    network = _network(SPECS["aliases"][0])
    kept = network.layers[0].mlp.up.weight
    split(network, "block[mlp.up.weight]", [UP[2:], UP[:2]])
    assert network.layers[0].mlp.up.weight is network.layers[1].mlp.up.weight is kept
    assert network.layers[2].mlp.up.weight is network.layers[3].mlp.up.weight is not kept
    assert _sites(network, "block[mlp.up.weight]") == tuple(UP[:2])
    assert _sites(network, "block_2[mlp.up.weight]") == tuple(UP[2:])


def test_a_module_in_which_nothing_is_left_to_share_stays_tied_and_joins_again() -> None:
    network = _network(SPECS["tie"][0])
    split(network, "embed.weight", [["embed.weight"], ["head.weight"]])
    assert network.embed.weight is not network.head.weight
    with torch.no_grad():
        network.head.weight.add_(2.0)
    expected = (network.embed.weight + 1).detach()
    join(network, ["embed.weight", "head.weight"])
    assert network.embed.weight is network.head.weight
    torch.testing.assert_close(network.head.weight.detach(), expected)


def test_a_split_survives_moves_loads_and_copies() -> None:
    network = _network(SPECS["low_rank"][0])
    split(network, "Q", _halves(network, "Q"))
    other = copy.deepcopy(network).to(torch.float64).to(torch.float32)
    verify(other)
    other.load_state_dict({name: value.clone() for name, value in network.state_dict().items()}, assign=True)
    verify(other)
    assert torch.equal(other(TOKENS), network(TOKENS))


@pytest.mark.parametrize(("init", "expected"), [("mean", 2.5), ("first", 4.0), ("largest", 2.0)])
def test_a_join_has_the_value_that_was_asked_for(init: Any, expected: float) -> None:
    network = _network({"share": [{"tie": UP[:3], "name": "A"}]})
    with torch.no_grad():
        network.layers[0].mlp.up.weight.fill_(2.0)
        network.layers[3].mlp.up.weight.fill_(4.0)
    join(network, [UP[3], "A"], init=init)
    assert _sites(network, "A") == tuple(UP)
    assert torch.equal(network.layers[3].mlp.up.weight, torch.full((64, 16), expected))  # three uses to one


@pytest.mark.parametrize("case", ["mix", "rows", "what a function brings", "tt", "penalty"])
def test_a_join_of_what_was_split_gives_the_graph_back(case: str) -> None:
    spec, name = SPECS[case]
    network = _network(spec)
    graph, before = get_plan(network).graph, network(TOKENS)
    edit = prepare_split(network, name, [[site] for site in _sites(network, name)])
    carry_out(edit)
    parts = [part for part, _ in edit.after if part.startswith(name.partition("[")[0]) or "." in part]
    if case in ("what a function brings", "tt"):  # what belongs together follows
        parts = (
            [part for part in parts if part.startswith(name[:-1])]
            if case == "what a function brings"
            else [part for part in parts if part.endswith("[0]")]
        )
    join(network, parts)
    assert get_plan(network).graph == graph
    assert torch.equal(network(TOKENS), before)


def test_random_edits_keep_a_partition_that_was_kept_by_hand() -> None:
    chance = random.Random(5)
    network = _network({"share": [{"tie": UP, "name": "A"}]})
    with torch.no_grad():
        parts = [set(UP)]
        for _ in range(7):
            plan = get_plan(network)
            names = {frozenset(group.sites): str(group.name) for group in plan.graph.groups if len(group.uses) > 1}
            called = [names.get(frozenset(part), next(iter(part))) for part in parts]
            place = chance.randrange(len(parts))
            if len(parts[place]) > 1:
                sites = sorted(parts.pop(place))
                cut = chance.randrange(1, len(sites))
                parts += [set(sites[:cut]), set(sites[cut:])]
                split(network, called[place], [sites[:cut], sites[cut:]])
            elif len(parts) > 1:
                other = (place + 1) % len(parts)
                join(network, [called[place], called[other]], init="first")
                joined = parts[place] | parts[other]
                parts = [part for number, part in enumerate(parts) if number not in (place, other)] + [joined]
            slots = dict(network.named_parameters(remove_duplicate=False))
            found: dict[int, set[str]] = {}
            for site in UP:
                found.setdefault(id(slots[site]), set()).add(site)
            assert {frozenset(part) for part in found.values()} == {frozenset(part) for part in parts}
            verify(network)


WRONG: dict[str, tuple[Any, str]] = {
    "misses a use": (lambda net: split(net, "A", [UP[:1], UP[1:2]]), "misses"),
    "a use twice": (lambda net: split(net, "A", [UP, UP[:1]]), "is in two parts"),
    "no such site": (lambda net: split(net, "A", [UP[:1], [*UP[1:], "layers.0.mlp.upp.weight"]]), "does not read `A`"),
    "one part": (lambda net: split(net, "A", [UP]), "two parts or more"),
    "an empty part": (lambda net: split(net, "A", [UP, []]), "none of them empty"),
    "no such group": (lambda net: split(net, "B", [UP[:1], UP[1:]]), "`B` is not a shared parameter"),
    "a text": (lambda net: split(net, "A", UP), "list of lists"),
    "unlike shapes": (lambda net: join(net, ["A", "D"]), "they are [64, 16] and [16, 64]"),
    "one name": (lambda net: join(net, ["A"]), "two names or more"),
    "itself": (lambda net: join(net, ["A", "A"]), "one shared parameter already"),
    "no such init": (lambda net: join(net, ["A", "D"], init="median"), "init is one of"),
    "a policy": (lambda net: join(net, ["D", "F"]), "lr and weight_decay"),
    "nothing of that name": (lambda net: join(net, ["A", "Z"]), "`Z` is not a shared parameter"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_refusal_says_what_is_wrong_and_changes_nothing(case: str) -> None:
    edit, said = WRONG[case]
    network = _network(
        {
            "share": [
                {"tie": UP, "name": "A"},
                {"tie": [f"layers.{layer}.mlp.down.weight" for layer in (0, 1)], "name": "D"},
                {"tie": [f"layers.{layer}.mlp.down.weight" for layer in (2, 3)], "name": "F"},
            ],
            "parameters": {"F": {"lr": 0.1}},
        }
    )
    plan, parameters = get_plan(network), [id(one) for one in network.parameters()]
    with pytest.raises(ApplyError) as caught:
        edit(network)
    assert said in str(caught.value)
    assert get_plan(network) is plan
    assert [id(one) for one in network.parameters()] == parameters
    verify(network)


def test_frozen_and_trained_are_not_joined() -> None:
    network = _network({"share": [{"tie": UP[:2], "name": "A"}]})
    network.layers[2].mlp.up.weight.requires_grad_(False)
    with pytest.raises(ApplyError, match=r"is trained and `layers\.2\.mlp\.up\.weight` is frozen"):
        join(network, ["A", UP[2]])
    split(network, "A", [[UP[0]], [UP[1]]])
    network.layers[1].mlp.up.weight.requires_grad_(False)
    assert join(network, [UP[1], UP[2]]).graph.groups
    assert not network.layers[1].mlp.up.weight.requires_grad


def test_what_no_spec_can_say_is_refused() -> None:
    network = _network({"share": ["layers.{l}.mlp.up.weight = Q + vera(2)[0]"]})
    with pytest.raises(ApplyError, match="cannot be written as a spec"):
        split(network, "vera.b[0]", _halves(network, "vera.b[0]"))
    verify(network)


def test_one_module_at_two_paths_is_not_parted() -> None:
    shared = nn.Linear(3, 3)
    network = nn.Sequential(shared, shared, nn.Linear(3, 3))
    tie(network, {"share": [{"tie": ["*.weight"], "name": "W"}]})
    with pytest.raises(ApplyError, match="one module at two paths"):
        split(network, "W", [["0.weight"], ["1.weight", "2.weight"]])
    split(network, "W", [["0.weight", "1.weight"], ["2.weight"]])
    assert network[2].weight is not shared.weight


def test_an_optimizer_that_holds_the_parameters_is_named_with_the_way() -> None:
    network = _network(SPECS["aliases"][0])
    optimizer = torch.optim.AdamW(network.parameters())
    with pytest.raises(ApplyError, match=r"optimizer AdamW.*split_in_training"):
        split(network, "block[mlp.up.weight]", [UP[:2], UP[2:]])
    del optimizer


def test_a_tie_that_the_model_had_before_can_be_parted() -> None:
    torch.manual_seed(0)
    network = DecoderLM(vocab_size=30, dim=16, depth=4, heads=2)
    network.head.weight = network.embed.weight
    tie(network, {"share": [{"tie": UP, "name": "A"}]})
    before = network(TOKENS)
    split(network, "embed.weight", [["embed.weight"], ["head.weight"]])
    assert network.head.weight is not network.embed.weight
    assert torch.equal(network(TOKENS), before)


def test_untied_sites_may_be_joined_again_by_name() -> None:
    network = _network({"share": [{"tie": UP, "name": "A"}]})
    untie(network, [UP[3]])
    join(network, ["A", UP[3]])
    assert network.layers[3].mlp.up.weight is network.layers[0].mlp.up.weight
