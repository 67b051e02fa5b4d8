"""The graph of a module that was tied with derived sites: found again from the module alone, and as a spec."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from lightning_tying.api import discover, make_plan, report_savings, tie
from lightning_tying.errors import SpecError
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.schema import Equation
from tests import trees

pytestmark = pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
SPECS: dict[str, list[Any]] = {
    "relaxed": [{"preset": {"name": "relaxed", "over": "layers.{l}.{name*}", "M": 2, "rank": 2}}],
    "frozen base": [{"preset": {"name": "lora", "over": "layers.{l}.{name*}", "rank": 2}}],
    "templates": [{"sites": "layers.{l}.attn.{m}.weight", "equals": "mix(T, 3)"}],
    "pools of unlike sizes": [{"preset": {"name": "hashed", "over": "layers.{l}.{name*}", "ratio": 4}}],
    "with aliases": [{"sites": "layers.{l}.attn.{m}.weight", "equals": "Q", "where": "l > 0"}, *[
        {"sites": "layers.{l}.attn.{m}.weight", "equals": "t(Q)", "where": "l == 0", "keep": True}]],
    "gradients": [
        {"sites": "layers.{l}.attn.{m}.weight", "equals": "Q[m] + 0", "grad": {"scale": "0.5 ** l"}},
        {"sites": "layers.{l}.norm1.weight", "equals": "N", "grad": "stop"}],
    "cores": [{"sites": "layers.{l}.mlp.up.weight", "equals": "tt(G[l % 2], [4, 4], [2, 4], 3)"}],
    "whole": ["layers.{l}.mlp.up.weight = U", "layers.{l}.mlp.down.weight = t(U)"],
}  # fmt: skip


def make_module() -> nn.Module:
    module = trees.tree(trees.stack(4, 8, 16), device="cpu")
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def outline(graph: SharingGraph) -> tuple[object, ...]:
    """A graph without the names of parameters: places, factors and what values have in common."""
    groups = {
        (frozenset((use.site, bool(use.slot), group.gradient_factor(use)) for use in group.uses), group.meta)
        for group in graph.groups
        if len(group.uses) > 1 or not group.is_plain
    }
    return groups, [(derived.site, derived.expression.shape, derived.keep) for derived in graph.derived]


def owners(graph: SharingGraph) -> list[str]:
    return [group.keeper for group in graph.groups if len(group.uses) > 1 or not group.is_plain]


@pytest.mark.parametrize("name", SPECS)
def test_what_was_tied_is_found(name: str) -> None:
    module = make_module()
    before = [site.fqn for site in take_inventory(module).sites]
    plan = tie(module, {"share": SPECS[name]})

    found = discover(module)

    assert outline(found) == outline(plan.graph)
    assert owners(found) == owners(plan.graph)
    assert [derived.expression for derived in found.derived] == [one.expression for one in plan.graph.derived]
    assert [site.fqn for site in found.sites] == before  # in the order of the untied model
    assert found.private == plan.graph.private


@pytest.mark.parametrize("name", SPECS)
def test_its_spec_gives_the_graph_on_the_untied_model(name: str) -> None:
    untied = make_module()
    module = copy.deepcopy(untied)
    found = (tie(module, {"share": SPECS[name]}), discover(module))[1]

    spec = load_spec(found.to_spec().dump())
    again = make_plan(untied, spec).graph

    assert again.partition() == found.partition()
    tie(untied, spec)
    assert outline(discover(untied)) == outline(found)


def test_predicted_savings_are_those_measured() -> None:
    module = make_module()
    plan = tie(module, {"share": SPECS["frozen base"]})

    for report in (report_savings(plan), report_savings(discover(module))):
        assert report.after.parameters == sum(parameter.numel() for parameter in module.parameters())
        assert report.after.trainable == sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_other_peoples_parametrizations_stay_unbindable() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    parametrizations.weight_norm(module[0])

    with pytest.raises(SpecError, match=r"0\.weight is already a parametrization"):
        make_plan(module, {"share": ["{i}.weight = W"]})


def test_one_put_on_top_of_ours_is_no_site() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tie(module, {"share": ["{i}.weight = W * V[i]"]})
    values = module[0]._modules["parametrizations"]
    assert isinstance(values, nn.ModuleDict)
    values["weight"]._modules["1"] = nn.Tanh()  # what no call of torch's does any more, since it is refused

    inventory = take_inventory(module)

    assert [value.fqn for value in inventory.values] == ["1.weight"]
    assert [tensor.fqn for tensor in inventory.unbindable] == ["0.weight"]
    assert inventory.unbindable[0].originals[0] == "0.parametrizations.weight.0.W"


def test_parts_that_were_tied_one_by_one_have_names_of_their_own() -> None:
    module = nn.ModuleDict({part: make_module() for part in "ab"})
    for part in module.values():
        tie(part, {"share": ["layers.{l}.attn.{m}.weight = W + low_rank(2)[0]"]})

    found = discover(module)

    names = [str(group.name) for group in found.groups]
    assert sorted(names) == sorted(set(names)) and {"W", "W_2"} <= set(names)
    assert len(names) == 6
    assert {name for derived in found.derived for name in derived.expression.parameters} == {
        group.name for group in found.groups
    }
    texts = [entry.value.text for entry in found.to_spec().entries if isinstance(entry, Equation)]
    assert texts == ["W + low_rank(r=2)[0]", "W_2 + low_rank(r=2)[0, 2]"]


def test_the_order_of_a_recurrent_layer_is_kept() -> None:
    module = nn.LSTM(4, 4, num_layers=2)
    names = [name for name, _ in module.named_parameters()]
    tie(module, {"share": ["weight_hh_l{l:int} = 2 * W"]})

    assert [site.fqn for site in take_inventory(module).sites] == names


def test_on_meta_nothing_is_computed() -> None:
    module = trees.tree(trees.stack(4, 8, 16))
    plan = tie(
        module,
        {
            "share": SPECS["relaxed"],
        },
    )

    assert outline(discover(module)) == outline(plan.graph)
    assert all(parameter.device == torch.device("meta") for parameter in module.parameters())


def test_what_a_module_at_two_paths_brings_is_written_in_one_equation() -> None:
    def make() -> nn.ModuleDict:
        layer = nn.Linear(4, 4)
        return nn.ModuleDict({"one": layer, "two": layer})

    module = make()
    plan = tie(module, {"share": ["one.weight = W + low_rank(2)"]})
    found = discover(module)
    assert make_plan(make(), found.to_spec()).graph.derived == plan.graph.derived
