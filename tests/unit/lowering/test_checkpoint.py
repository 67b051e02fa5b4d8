"""Files drop aliases; loads fill them."""

from __future__ import annotations

import pytest
import torch

from lightning_tying.api import get_plan, tie
from lightning_tying.errors import ConflictError
from lightning_tying.lowering.checkpoint import drop_aliases, fill_aliases


def test_drop_then_fill(tower, spec):
    tie(tower, spec)
    plan, state = get_plan(tower), tower.state_dict()
    small = drop_aliases(state, plan)
    assert set(small) == {name for name, _ in tower.named_parameters()}
    fill_aliases(small, plan)
    assert set(small) == set(state) and all(torch.equal(small[key], state[key]) for key in state)


def test_prefix_and_foreign_keys(tower, spec):
    tie(tower, spec)
    plan = get_plan(tower)
    state = {f"network.{key}": value for key, value in tower.state_dict().items()} | {"loss.scale": torch.ones(1)}
    small = drop_aliases(state, plan, "network.")
    assert "loss.scale" in small and "network.embed.weight" in small and "network.head.weight" not in small
    fill_aliases(small, plan, "network.")
    assert set(small) == set(state)


def test_an_alias_with_another_value_is_never_dropped(tower, spec, new_tower):
    tie(tower, spec)
    with pytest.raises(ConflictError, match=r"head\.weight has another value"):
        drop_aliases(new_tower().state_dict(), get_plan(tower))


def test_what_is_no_tensor_is_left_to_torch(tower, spec):
    tie(tower, spec)
    state = tower.state_dict() | {"head.weight": "broken"}
    assert "head.weight" not in drop_aliases(state, get_plan(tower))
