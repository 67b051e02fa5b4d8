"""Initializers never reach what derived sites share; values that had to wait for memory are found when it is there."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn

from lightning_tying.api import tie, untie, verify
from lightning_tying.errors import SharingWarning
from lightning_tying.lowering.scratch import hide_derived, reset_into_scratch
from lightning_tying.lowering.state import read_state


@pytest.fixture(autouse=True)
def far_values_are_meant():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)
        yield


def shared_values(module):
    return {name: p.detach().clone() for name, p in module.named_parameters() if "parametrizations" in name}


def assert_kept(module, before):
    assert before and all(torch.equal(module.get_parameter(name), value) for name, value in before.items())


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.rnn = nn.LSTM(6, 6, bidirectional=True)
        self.mha = nn.MultiheadAttention(6, 2)
        self.body = nn.Transformer(6, 2, 1, 1, 12)


SPEC = {
    "share": [
        "fc.weight = t(W)",
        "rnn.weight_hh_l{l:int} = mix(T, 2)",
        "rnn.weight_hh_l0_reverse = mix(T, 2)",
        "mha.in_proj_weight = concat(Q, W, W)",
        "mha.out_proj.weight = W + low_rank(1)",
        "body.{s:encoder|decoder}.layers.0.linear1.weight = M + low_rank(2)",
    ]
}


def stock_reset(part):
    for name in ("reset_parameters", "_reset_parameters"):
        if callable(getattr(part, name, None)):
            getattr(part, name)()


@pytest.mark.parametrize("path", ["fc", "rnn", "mha", "mha.out_proj", "body", "body.encoder.layers.0.linear1"])
def test_a_reset_leaves_shared_parameters_and_resets_the_others(path):
    module = Mixed()
    tie(module, SPEC)
    before = shared_values(module)
    part = module.get_submodule(path)
    mine = [name for name, p in part.named_parameters() if "parametrizations" not in name and p.dim() == 1]
    for name in mine:
        part.get_parameter(name).data.fill_(7)
    kinds = [type(each) for each in module.modules()]
    stock_reset(part)
    assert_kept(module, before)
    own = [name for name in mine if "." not in name or path == "mha"]
    reaches = [name for name in own if not bool((part.get_parameter(name) == 7).all())]
    assert path == "body" or reaches == own
    assert [type(each) for each in module.modules()] == kinds
    verify(module)


def test_a_reset_that_fails_shows_the_derived_sites_again():
    module = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    tie(module, {"share": ["{m}.weight = t(W)"]})

    class Failing(Exception):
        pass

    value = module["a"].weight.detach().clone()
    with pytest.raises(Failing), hide_derived(module):
        assert type(module["a"]) is nn.Linear and "weight" in module["a"]._parameters
        assert [name for name, _ in module["a"].named_parameters()] == ["weight", "bias"]
        raise Failing
    assert torch.equal(module["a"].weight, value) and "weight" not in module["a"]._parameters
    verify(module)


def test_what_a_stock_reset_gives_touches_nothing():
    module = nn.ModuleDict({"rnn": nn.LSTM(4, 4), "norm": nn.BatchNorm1d(4)})
    tie(module, {"share": ["rnn.weight_{k:ih|hh}_l0 = mix(T, 2)"]})
    module["norm"].running_mean.fill_(3)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    torch.manual_seed(5)
    given = reset_into_scratch(module["rnn"])
    plain = nn.LSTM(4, 4)
    torch.manual_seed(5)
    plain.reset_parameters()
    assert {name: value.tolist() for name, value in given.items()} == {
        name: p.tolist() for name, p in plain.named_parameters()
    }
    assert set(reset_into_scratch(module["norm"])) == {"weight", "bias"}
    assert all(torch.equal(module.state_dict()[key], value) for key, value in before.items())


def test_the_reset_of_a_plain_module_comes_back():
    module = Mixed()
    tie(module, SPEC)
    untie(module)
    assert not any("reset_parameters" in vars(part) or "_reset_parameters" in vars(part) for part in module.modules())


def test_drawn_parameters_are_drawn_when_the_module_becomes_real(new_tower):
    spec = {
        "share": ["layers.{l}.up.weight = mix(T, 3)", "layers.{l}.norm.weight = hashed(pool)"],
        "parameters": {"T": {"init": "kaiming_normal"}, "pool": {"shape": [5], "init": "normal(0.1)"}},
    }
    with torch.device("meta"):
        lazy = new_tower()
        tie(lazy, spec)
    assert read_state(lazy).pending
    eager = new_tower()
    tie(eager, spec)
    state = torch.get_rng_state()
    lazy.to_empty(device="cpu")
    assert torch.equal(torch.get_rng_state(), state) and not read_state(lazy).pending
    expected = shared_values(eager)
    assert_kept(lazy, expected)
    for part in lazy.modules():
        stock_reset(part)
    assert_kept(lazy, expected)
    with torch.no_grad():
        lazy.layers[0]["up"].parametrizations.weight[0].T.fill_(3)
    lazy.double()
    assert bool((lazy.layers[1]["up"].parametrizations.weight[0].T == 3).all())  # once, and never again


def test_solved_parameters_are_solved_from_stock_resets(new_tower):
    spec = {
        "share": [
            {
                "sites": "layers.{l}.up.weight",
                "equals": "W + low_rank(8)",
                "init": {"W": "mean", "low_rank": "svd"},
            }
        ]
    }
    with torch.device("meta"):
        lazy = new_tower()
        tie(lazy, spec)
    copies = [copy.deepcopy(lazy) for _ in range(2)]
    for each in copies:
        each.to_empty(device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(*[shared_values(each).values() for each in copies], strict=True))
    ups = [layer["up"] for layer in copies[0].layers]
    values = torch.stack([up.weight.detach() for up in ups])
    bound = 1 / 8**0.5  # nn.Linear(8, 8): uniform within 1/sqrt(inputs)
    assert float(values.abs().max()) <= bound + 1e-6 and 0.4 * bound < float(values.std()) < 0.75 * bound
    assert not torch.allclose(values[0], values[1], atol=0.05)
    torch.testing.assert_close(ups[0].parametrizations.weight[0].W, values.mean(dim=0), atol=1e-5, rtol=0)


def test_loaded_values_are_not_drawn_over(new_tower):
    spec = {"share": ["layers.{l}.up.weight = mix(T, 2)"]}
    with torch.device("meta"):
        lazy = new_tower()
        tie(lazy, spec)
    eager = new_tower()
    tie(eager, spec)
    state = {key: torch.full_like(value, 2.0) for key, value in eager.state_dict().items()}
    lazy.load_state_dict(state, assign=True)
    lazy.double()
    assert not read_state(lazy).pending and all(bool((p == 2).all()) for p in lazy.parameters())
