"""Everything torch does to a module keeps its ties or restores them."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from lightning_tying.api import get_plan, tie, untie, verify
from lightning_tying.errors import ConflictError, SharingWarning, TieBroken


def assert_tied(module):
    verify(module)
    assert module.head.weight is module.embed.weight
    assert module.layers[3]["up"].bias is module.layers[1]["up"].bias


class Parent(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.extra = nn.Linear(2, 2)


@pytest.fixture
def tied(tower, spec):
    tie(tower, spec)
    return tower


@pytest.fixture(params=["default", "overwrite", "swap"])
def conversion(request):
    torch.__future__.set_overwrite_module_params_on_conversion(request.param == "overwrite")
    torch.__future__.set_swap_module_params_on_conversion(request.param == "swap")
    yield request.param
    torch.__future__.set_overwrite_module_params_on_conversion(False)
    torch.__future__.set_swap_module_params_on_conversion(False)


@pytest.mark.parametrize("convert", ["double", "half", "to", "to_empty", "share_memory", "to_meta_and_back"])
def test_conversions(tied, convert, conversion):
    value = tied.embed.weight.detach().clone()
    if convert == "to":
        tied.to(torch.float64)
    elif convert == "to_empty":
        tied.to_empty(device="cpu")
    elif convert == "to_meta_and_back":
        tied.to("meta").to_empty(device="cpu")
    else:
        getattr(tied, convert)()
    assert_tied(tied)
    if convert in ("double", "to"):
        assert torch.equal(tied.embed.weight, value.double())


def test_as_child_of_a_plain_parent(tied, conversion):
    parent = Parent(tied)
    parent.double()
    parent.to_empty(device="cpu")
    assert_tied(parent.network)


def test_rnn_conversion(conversion):
    lstm = nn.LSTM(4, 4, num_layers=2)
    tie(lstm, {"share": ["{n:weight|bias}_{m:ih|hh}_l{l:int} = W[n, m]"]})
    lstm.double()
    assert lstm.weight_hh_l1 is lstm.weight_hh_l0
    out, _ = lstm(torch.randn(3, 2, 4, dtype=torch.float64))
    out.sum().backward()
    assert lstm.weight_hh_l1.grad is lstm.weight_hh_l0.grad


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_load(tied, spec, new_tower, assign, inside, conversion):
    other = new_tower()
    tie(other, spec)
    source, target = (Parent(other), Parent(tied)) if inside else (other, tied)
    target.load_state_dict(source.state_dict(), assign=assign)
    assert_tied(tied)
    assert torch.equal(tied.embed.weight, other.embed.weight)


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("gone", ["embed.weight", "head.weight", "layers.1.up.bias"])
def test_missing_members_are_filled(tied, gone, assign):
    state = {key: torch.full_like(value, 2) for key, value in tied.state_dict().items() if key != gone}
    tied.load_state_dict(state, assign=assign)
    assert_tied(tied)
    assert bool((tied.head.weight == 2).all()) and bool((tied.layers[1]["up"].bias == 2).all())


def test_conflict_is_refused_before_anything_is_loaded(tied, new_tower):
    before = {key: value.clone() for key, value in tied.state_dict().items()}
    with pytest.raises(ConflictError, match=r"`E` is one parameter, and head.weight has another value than embed.w"):
        tied.load_state_dict(new_tower().state_dict())
    assert all(torch.equal(value, before[key]) for key, value in tied.state_dict().items())
    assert_tied(tied)


def test_nan_is_no_conflict(tied):
    state = {key: torch.full_like(value, float("nan")) for key, value in tied.state_dict().items()}
    tied.load_state_dict(state)


def test_refused_load_keeps_ties(tied):
    state = tied.state_dict() | {"embed.weight": torch.zeros(3, 3), "head.weight": torch.zeros(3, 3)}
    with pytest.raises(RuntimeError, match="size mismatch"):
        tied.load_state_dict(state, assign=True)
    assert_tied(tied)


def test_state_dict_keeps_torchs_keys_and_one_storage(tied, new_tower):
    state = tied.state_dict()
    assert list(state) == list(new_tower().state_dict())
    assert state["head.weight"].data_ptr() == state["embed.weight"].data_ptr()


def saved(module):
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


class Box(nn.Module):
    """At module level, so that it pickles."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)


BOX = {"share": [{"tie": ["a.weight", "b.weight"], "init": "normal(0.1)"}]}


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), saved])
@pytest.mark.parametrize("inside", [False, True])
def test_copies_keep_hooks_of_their_own(duplicate, inside):
    box = Box()
    tie(box, BOX)
    original = Parent(box) if inside else box
    twin = duplicate(original)
    twin_box = twin.network if inside else twin
    assert twin_box.a.weight is twin_box.b.weight and twin_box.a.weight is not box.a.weight
    twin.to_empty(device="cpu")
    verify(twin)
    twin.load_state_dict({key: torch.ones_like(value) for key, value in twin.state_dict().items()}, assign=True)
    verify(twin)
    twin_box.b.reset_parameters()
    assert bool((twin_box.b.weight == 1).all())
    untie(twin)
    twin.double()
    assert twin_box.a.weight is not twin_box.b.weight
    assert get_plan(box) and box.a.weight is box.b.weight
    box.to_empty(device="cpu")
    verify(box)


def test_compiled_wrapper(tied, tokens):
    wrapped = torch.compile(tied, backend="eager")
    assert get_plan(wrapped) is get_plan(tied)
    wrapped.load_state_dict({key: value.clone() for key, value in wrapped.state_dict().items()}, assign=True)
    wrapped.double()
    assert_tied(tied)
    verify(wrapped)


def test_compiled_part_inside(tied):
    tied.head = torch.compile(tied.head, backend="eager")
    verify(tied)
    state = {key: torch.ones_like(value) for key, value in tied.state_dict().items() if "head" not in key}
    tied.load_state_dict(state, assign=True)
    verify(tied)
    assert bool((tied.head.weight == 1).all())


def test_checkpoint_wrapper_inside(tower, spec):
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    tower.head = checkpoint_wrapper(tower.head)
    tie(tower, spec)
    state = {key: torch.ones_like(value) for key, value in tower.state_dict().items() if "head" not in key}
    tower.load_state_dict(state, assign=True)
    verify(tower)
    assert tower.head.weight is tower.embed.weight


def test_lost_tie_is_restored_with_a_warning(tied):
    tied.head.weight = nn.Parameter(torch.zeros(12, 8))
    with pytest.warns(SharingWarning, match=r"head.weight \(tied to embed.weight\) had lost the tie"):
        tied.double()
    assert_tied(tied)


def test_missing_parameter_names_the_cause(tied):
    torch.nn.utils.weight_norm(tied.head)
    with pytest.raises(TieBroken, match="weight_norm replaced it in Linear"):
        tied.double()


def test_parent_still_loads_with_prefix_and_strict(tied):
    parent = Parent(tied)
    state = parent.state_dict()
    del state["network.head.weight"]
    assert parent.load_state_dict(state).missing_keys == []


def test_functional_call_and_gradients(tied, tokens):
    tied(tokens).sum().backward()
    assert tied.head.weight.grad is tied.embed.weight.grad
