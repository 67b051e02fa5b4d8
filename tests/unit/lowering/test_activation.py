"""Reentrant activation checkpointing of what is shared is refused, where it can be seen."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointImpl, checkpoint_wrapper
from torch.utils.checkpoint import checkpoint

from lightning_tying.api import tie, verify
from lightning_tying.errors import ApplyError
from lightning_tying.lowering.state import read_state


def wrap(module, place, impl):
    module.layers[place] = checkpoint_wrapper(module.layers[place], checkpoint_impl=impl)


def test_the_wrapper_the_group_and_the_way_out_are_named(tower, spec):
    tie(tower, spec)
    wrap(tower, 2, CheckpointImpl.REENTRANT)
    with pytest.raises(
        ApplyError, match=r"`layers.2` uses reentrant .*layers.2.up.weight.*`block\[up.weight, 0\]`.*NO_RE"
    ):
        verify(tower)


def test_what_is_not_shared_may_be_checkpointed_as_one_likes(tower):
    tie(tower, {"share": [{"tie": ["embed.weight", "head.weight"], "name": "E"}]})
    wrap(tower, 2, CheckpointImpl.REENTRANT)
    verify(tower)


def test_the_other_kind_is_welcome(tower, spec):
    tie(tower, spec)
    wrap(tower, 2, CheckpointImpl.NO_REENTRANT)
    verify(tower)


def test_a_tie_that_is_refused_changes_nothing(tower, spec):
    wrap(tower, 2, CheckpointImpl.REENTRANT)
    held = tower.head.weight
    with pytest.raises(ApplyError, match="reentrant"):
        tie(tower, spec)
    assert read_state(tower) is None and tower.head.weight is held
    assert type(tower)._apply is nn.Module._apply and "_apply" not in vars(tower)


def test_a_function_of_the_users_module(tower, spec):
    tie(tower, spec)
    tower.run_block = partial(checkpoint, use_reentrant=True)
    with pytest.raises(ApplyError, match="This Tower uses reentrant"):
        verify(tower)


@pytest.mark.parametrize("reentrant", [True, False])
def test_networks_of_transformers(reentrant):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2
    )
    network = transformers.LlamaForCausalLM(config)
    tie(network, {"share": [{"sites": "model.layers.{l}.{name*}", "equals": "block[name]"}]})
    network.gradient_checkpointing_enable({"use_reentrant": reentrant})
    if not reentrant:
        verify(network)
        network.train()(torch.arange(4)[None]).logits.sum().backward()
        return
    with pytest.raises(ApplyError, match="reentrant"):
        verify(network)
    network.gradient_checkpointing_disable()
    verify(network)
