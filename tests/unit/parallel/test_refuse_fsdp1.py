"""FSDP1 policies of every kind are asked before anything is wrapped, and one that splits a group is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.fsdp.wrap import (
    CustomPolicy,
    ModuleWrapPolicy,
    always_wrap_policy,
    lambda_auto_wrap_policy,
    size_based_auto_wrap_policy,
    transformer_auto_wrap_policy,
)

from lightning_tying import get_plan, tie
from lightning_tying.errors import ApplyError
from lightning_tying.models import DecoderLM
from lightning_tying.models.block import Block
from lightning_tying.models.linear import TokenEmbedding
from lightning_tying.parallel.refusals.fsdp1 import check_fsdp1_policy, find_wrapped

PAIR = {"share": [{"tie": ["embed.weight", "head.weight"]}]}
BLOCKS = {"share": ["layers.{l}.{name*} = block[name]"]}
DERIVED = {"share": ["layers.{l}.mlp.up.weight = mix(T, 2)"]}


def _network(spec: dict[str, Any]) -> DecoderLM:
    with torch.device("meta"):
        network = DecoderLM(40, dim=16, depth=3, heads=2)
    tie(network, spec)
    return network


SPLITTING: dict[str, Callable[[], Any]] = {
    "classes": lambda: {TokenEmbedding},
    "ModuleWrapPolicy": lambda: ModuleWrapPolicy({TokenEmbedding}),
    "CustomPolicy": lambda: CustomPolicy(lambda module: isinstance(module, TokenEmbedding)),
    "lambda": lambda: functools.partial(
        lambda_auto_wrap_policy, lambda_fn=lambda module: isinstance(module, TokenEmbedding)
    ),
    "transformer": lambda: functools.partial(transformer_auto_wrap_policy, transformer_layer_cls={TokenEmbedding}),
    "size": lambda: functools.partial(size_based_auto_wrap_policy, min_num_params=600),
    "always": lambda: always_wrap_policy,
}


@pytest.mark.parametrize("kind", SPLITTING)
def test_a_policy_that_parts_embedding_and_head_is_refused(kind: str) -> None:
    network = _network(PAIR)
    with pytest.raises(ApplyError, match=r"embed.weight in the unit embed") as caught:
        check_fsdp1_policy(network, get_plan(network).graph, SPLITTING[kind]())
    assert "head.weight" in str(caught.value) and "ModelParallelStrategy" in str(caught.value)


@pytest.mark.parametrize(
    "policy", [None, {Block}, functools.partial(size_based_auto_wrap_policy, min_num_params=10**9)]
)
def test_a_policy_that_keeps_them_together_is_taken(policy: Any) -> None:
    network = _network(PAIR)
    check_fsdp1_policy(network, get_plan(network).graph, policy)


@pytest.mark.parametrize("spec", [BLOCKS, DERIVED])
def test_blocks_of_their_own_split_what_all_blocks_read(spec: dict[str, Any]) -> None:
    network = _network(spec)
    parent = CustomPolicy(lambda module: type(module) is nn.ModuleList)  # a computed site has a list of another type
    check_fsdp1_policy(network, get_plan(network).graph, parent)
    with pytest.raises(ApplyError, match=r"in the unit layers.1"):
        check_fsdp1_policy(network, get_plan(network).graph, {Block})


def test_the_tied_network_may_be_a_part_of_what_is_wrapped() -> None:
    outer = nn.ModuleDict({"network": _network(PAIR), "other": nn.Linear(2, 2)})
    network = outer["network"]
    with pytest.raises(ApplyError, match=r"in the unit network\.embed"):
        check_fsdp1_policy(outer, get_plan(network).graph, {TokenEmbedding}, tied=network)


@pytest.mark.parametrize("size", [100, 600, 2000, 10**9])
def test_functions_are_asked_as_torch_asks_them(size: int) -> None:
    from torch.distributed.fsdp.wrap import _recursive_wrap  # pyright: ignore[reportPrivateUsage]  # what FSDP calls

    class Wrapped(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.inner = module

    policy = functools.partial(size_based_auto_wrap_policy, min_num_params=size)
    network = DecoderLM(40, dim=16, depth=2, heads=2)
    expected = {id(module) for module in find_wrapped(network, policy)}
    _recursive_wrap(network, policy, Wrapped, set(), set(), only_wrap_children=True)  # pyright: ignore[reportUnknownArgumentType]
    assert {id(module.inner) for module in network.modules() if isinstance(module, Wrapped)} == expected
