"""What `take_inventory` finds in modules of all kinds."""

from __future__ import annotations

import gc

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from lightning_tying.graph.inventory import take_inventory
from tests import trees


def test_sites_stand_in_model_order_under_all_names() -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.LSTM(3, 4, 2, bidirectional=True), nn.Linear(3, 5))
    module[2].weight = module[0].weight

    inventory = take_inventory(module)

    assert [site.fqn for site in inventory.sites] == [
        name for name, _ in module.named_parameters(remove_duplicate=False)
    ]
    numbers = {site.fqn: site.parameter for site in inventory.sites}
    assert numbers["0.weight"] == numbers["2.weight"]
    assert len(set(numbers.values())) == len(list(module.parameters()))


def test_a_module_at_two_paths_is_listed_twice() -> None:
    block = nn.Linear(2, 2)
    inventory = take_inventory(nn.ModuleDict({"a": block, "b": block}))

    assert [site.fqn for site in inventory.sites] == ["a.weight", "a.bias", "b.weight", "b.bias"]


def test_metadata_is_read_without_touching_values() -> None:
    module = nn.Linear(3, 2, device="meta", dtype=torch.bfloat16)
    module.weight.requires_grad_(False)

    weight, bias = take_inventory(module).sites

    assert (weight.meta.shape, weight.meta.dtype, weight.meta.device) == ((2, 3), "bfloat16", "meta")
    assert (weight.meta.trainable, bias.meta.trainable) == (False, True)
    assert (weight.meta.numel, weight.meta.itemsize, weight.module) == (6, 2, "Linear")


def test_segments_of_wrappers_are_not_part_of_a_name() -> None:
    inner = nn.Sequential(nn.Linear(2, 2))
    wrapped = nn.Module()
    wrapped.add_module("_orig_mod", inner)
    outer = nn.ModuleDict({"net": wrapped})

    inventory = take_inventory(outer)

    assert [site.fqn for site in inventory.sites] == ["net.0.weight", "net.0.bias"]
    assert inventory.modules["net"] == "Sequential"


def test_torch_compile_does_not_change_names() -> None:
    module = nn.ModuleDict({"net": torch.compile(nn.Linear(2, 2))})

    assert [site.fqn for site in take_inventory(module).sites] == ["net.weight", "net.bias"]


def test_what_cannot_be_bound_is_listed_with_its_reason() -> None:
    module = nn.ModuleDict({"lazy": nn.LazyLinear(3), "fc": weight_norm(nn.Linear(2, 2)), "bn": nn.BatchNorm1d(2)})
    module["q"] = trees.tree({"weight": [2]}, dtypes={"weight": torch.uint8})

    inventory = take_inventory(module)

    reasons = {entry.fqn: (entry.reason, entry.detail) for entry in inventory.unbindable}
    assert reasons["lazy.weight"] == ("lazy", "LazyLinear")
    assert reasons["fc.weight"][0] == "parametrized"
    assert reasons["q.weight"] == ("dtype", "torch.uint8")
    assert "bn.running_mean" in inventory.buffers
    assert "fc.parametrizations.weight.original0" in {site.fqn for site in inventory.sites}


def test_a_module_inside_itself_is_entered_once() -> None:
    module = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False)})
    module["again"] = module

    assert [site.fqn for site in take_inventory(module).sites] == ["a.weight"]


def test_sparse_embeddings_are_marked() -> None:
    module = nn.ModuleDict({"a": nn.Embedding(3, 2, sparse=True), "b": nn.Embedding(3, 2)})

    assert [site.sparse for site in take_inventory(module).sites] == [True, False]


def test_the_garbage_collector_is_left_as_it_was() -> None:
    gc.disable()
    try:
        take_inventory(nn.Linear(1, 1))
        assert not gc.isenabled()
    finally:
        gc.enable()
    take_inventory(nn.Linear(1, 1))
    assert gc.isenabled()
