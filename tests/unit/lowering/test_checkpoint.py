"""Files drop aliases; loads fill them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_tying.api import get_plan, tie, verify
from lightning_tying.errors import ConflictError
from lightning_tying.lowering.state_dicts.checkpoint import (
    check_conflicts,
    drop_aliases,
    fill_aliases,
    refuse_conflicts,
)


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


class Around(nn.Module):
    """A module that is loaded before its tied child, as a LightningModule's own parameters are."""

    def __init__(self, network):
        super().__init__()
        self.before, self.network = nn.Linear(2, 2), network
        self.register_load_state_dict_pre_hook(refuse_conflicts)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("assign", [False, True])
def test_a_conflict_in_a_child_leaves_nothing_half_loaded(tower, new_tower, spec, compiled, assign):
    tie(tower, spec)
    wrap = (lambda m: torch.compile(m, backend="eager")) if compiled else (lambda m: m)
    around, other = Around(wrap(tower)), Around(wrap(new_tower()))
    before = {key: value.clone() for key, value in around.state_dict().items()}
    places = [id(p) for p in around.parameters()]
    with pytest.raises(ConflictError, match="`E` is one parameter"):
        around.load_state_dict(other.state_dict(), assign=assign)
    assert all(torch.equal(value, before[key]) for key, value in around.state_dict().items())
    assert [id(p) for p in around.parameters()] == places
    around.load_state_dict(around.state_dict())


def test_conflicts_of_all_tied_modules_are_told_at_once(new_tower, spec):
    pair = nn.ModuleDict({"a": new_tower(), "b": new_tower()})
    state = {f"module.{key}": value.clone() for key, value in pair.state_dict().items()}
    tie(pair["a"], spec)
    tie(pair["b"], spec)
    with pytest.raises(ConflictError) as error:
        check_conflicts(pair, state, "module.")
    assert str(error.value).count("`E` is one parameter") == 2


def test_a_loader_hands_over_the_modules_own_parameters_each_once() -> None:
    """As torch's `set_model_state_dict(…, broadcast_from_rank0=True)` does, which writes into them before."""
    model = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    tie(model, {"share": [{"tie": ["a.weight", "b.weight"]}]})
    model.load_state_dict({"a.weight": model["a"].weight})
    model.load_state_dict({"b.weight": model["a"].weight})
    verify(model)
