"""Which modules FSDP2 gathers together, for the sharing schemes of the guides."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lightning_tying import discover, get_plan, make_plan, tie
from lightning_tying.errors import ApplyError
from lightning_tying.models import DecoderLM, EncoderDecoder
from lightning_tying.parallel.facts import RunFacts
from lightning_tying.parallel.sharding.units import plan_units

HEAD = {"tie": ["embed.weight", "head.weight"]}


def decoder(depth: int = 4) -> nn.Module:
    with torch.device("meta"):
        return DecoderLM(vocab_size=50, dim=16, depth=depth, heads=2)


def units_of(network: nn.Module, *share: Any) -> dict[tuple[str, ...], str]:
    plan = plan_units(make_plan(network, {"share": list(share)}).graph, network)
    return {unit.modules: unit.kind for unit in plan.units}


def test_blocks_are_single_and_the_tied_table_has_a_unit() -> None:
    assert units_of(decoder(2), HEAD) == {
        ("layers.0",): "block",
        ("layers.1",): "block",
        ("embed", "head"): "aliases",
        ("",): "root",
    }


def test_albert_is_one_unit_of_all_blocks() -> None:
    units = units_of(decoder(3), "layers.{l}.{name*} = block[name]")
    assert units == {("layers.0", "layers.1", "layers.2"): "blocks", ("",): "root"}


def test_a_cycle_is_a_unit_for_each_of_its_blocks_though_the_norms_are_private() -> None:
    spec = {"sites": "layers.{l}.{name*}", "equals": "block[name, l % 2]", "where": "ndim == 2"}
    units = units_of(decoder(4), spec)
    assert units == {("layers.0", "layers.2"): "blocks", ("layers.1", "layers.3"): "blocks", ("",): "root"}


def test_one_tensor_that_all_blocks_share_leaves_them_single() -> None:
    units = units_of(decoder(3), "layers.{l}.attn.q.weight = Q")
    assert units[tuple(f"layers.{layer}.attn.q" for layer in range(3))] == "aliases"
    assert units["layers.0",] == units["layers.2",] == "block"


def test_a_derived_group_is_a_unit_of_parametrizations() -> None:
    units = units_of(decoder(3), HEAD, "layers.{l}.mlp.up.weight = mix(T, 2)")
    assert units[tuple(f"layers.{layer}.mlp.up.parametrizations.weight" for layer in range(3))] == "values"
    assert units["layers.1",] == "block"


def test_an_alias_beside_a_slot_of_the_same_parameter() -> None:
    units = units_of(decoder(2), "embed.weight = U", "head.weight = U * V")
    assert units["embed", "head.parametrizations.weight"] == "mixed"


def test_a_weight_that_another_module_takes_is_gathered_by_that_module() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    units = units_of(nn.TransformerEncoder(layer, 3), "layers.{l}.self_attn.out_proj.weight = O")
    assert units == {("layers.0", "layers.1", "layers.2"): "blocks", ("",): "root"}
    attention = nn.ModuleDict({name: nn.MultiheadAttention(8, 2) for name in ("a", "b")})
    assert ("a", "b") in units_of(attention, "{m}.out_proj.weight = O")


def test_parameters_in_containers_belong_to_the_module_around() -> None:
    class Tables(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tables = nn.ParameterList(nn.Parameter(torch.randn(2, 2)) for _ in range(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.tables[0] @ self.tables[1]

    units = units_of(nn.Sequential(Tables(), Tables()), "{m}.tables.{n} = T[n]")
    assert units == {("0", "1"): "aliases", ("",): "root"}


def test_a_module_at_two_paths_is_in_one_unit() -> None:
    shared = nn.Linear(2, 2)
    block = nn.ModuleList([nn.Sequential(shared), nn.Sequential(nn.Linear(2, 2), shared)])
    plan = plan_units(discover(block), block)
    assert sorted(unit.modules for unit in plan.units) == [("",), ("0", "1")]


def test_the_plan_of_a_tied_module_is_that_of_the_untied() -> None:
    network = EncoderDecoder(vocab_size=30, dim=8, depth=2, heads=2)
    spec = {"share": [{"tie": ["encoder.embed.weight", "decoder.embed.weight", "head.weight"]}]}
    planned = plan_units(make_plan(network, spec).graph, network)
    tie(network, spec)
    assert plan_units(get_plan(network).graph, network) == planned
    assert planned.units[-2].modules == ("encoder.embed", "decoder.embed", "head")


def test_the_plan_prints_itself_and_is_data() -> None:
    network = decoder(2)
    plan = make_plan(network, {"share": [HEAD]}, facts=RunFacts("fsdp2", data_parallel=2))
    assert "fully_shard([embed, head])" in str(plan)
    assert "strategy: fsdp2 (2 data parallel), 32-true" in str(plan)
    content = plan.sharding.to_dict()  # type: ignore[union-attr]
    assert content["units"][2] == {
        "kind": "aliases",
        "modules": ["embed", "head"],
        "parameters": ["embed.weight"],
        "cells": 800,
    }
    assert plan == make_plan(network, {"share": [HEAD]}), "what tying does is the same"


def test_facts_are_checked_by_make_plan() -> None:
    with pytest.raises(ApplyError, match="Pipeline"):
        make_plan(decoder(), {"share": [HEAD]}, facts=RunFacts("pipeline", pipeline=2))


def test_written_units_replace_all_but_the_root() -> None:
    network = decoder(2)
    graph = make_plan(network, {"share": [HEAD]}).graph
    plan = plan_units(graph, network, {"units": [["layers.{l}"], ["embed", "head"]]})
    assert [(unit.kind, unit.modules) for unit in plan.units] == [
        ("written", ("layers.0", "layers.1")),
        ("written", ("embed", "head")),
        ("root", ("",)),
    ]


def test_all_mistakes_of_written_units_are_told_at_once() -> None:
    network = decoder(3)
    graph = make_plan(network, {"share": [HEAD]}).graph
    with pytest.raises(ApplyError) as caught:
        plan_units(graph, network, [["layers.0", "layers.0.attn"], ["layer.1"], ["layers.0", "layers"]])
    text = str(caught.value)
    assert "no module is called layer.1" in text and "Did you mean layers.1?" in text
    assert "layers.0.attn lies in layers.0" in text
    assert "layers.0 is in units[0] already" in text
    assert "layers is a container" in text


def test_a_written_unit_that_splits_a_group_is_refused() -> None:
    network = decoder(2)
    graph = make_plan(network, {"share": [HEAD]}).graph
    with pytest.raises(ApplyError, match=r"`embed.weight` would be in two units: embed in \[embed\], head in the root"):
        plan_units(graph, network, [["embed"]])


def test_written_units_inside_each_other_are_refused() -> None:
    network = nn.Sequential(nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(ApplyError, match="inside each other"):
        plan_units(discover(network), network, [["0", "1.0"], ["1", "0.0"]])
