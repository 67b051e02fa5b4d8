"""One initializer for each shared parameter, also when a module becomes real after it was tied."""

from __future__ import annotations

import torch
from torch import nn

from lightning_tying.api import tie, untie


def materialize(module):
    """As Lightning and torchtitan do it."""
    module.to_empty(device="cpu")
    for part in module.modules():
        if callable(getattr(part, "reset_parameters", None)):
            part.reset_parameters()


def test_alias_reset_does_nothing_and_private_parameters_are_reset(tower, spec):
    tie(tower, spec)
    shared = tower.head.weight.detach().clone()
    tower.head.reset_parameters()
    assert torch.equal(tower.head.weight, shared)
    tie_bias_free = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tie(tie_bias_free, {"share": [{"tie": ["0.weight", "1.weight"]}]})
    weight, bias = (getattr(tie_bias_free[1], name).detach().clone() for name in ("weight", "bias"))
    parameter = tie_bias_free[1].weight
    tie_bias_free[1].reset_parameters()
    assert torch.equal(tie_bias_free[1].weight, weight) and not torch.equal(tie_bias_free[1].bias, bias)
    assert tie_bias_free[1].weight is parameter


def test_materialized_embedding_keeps_the_owners_distribution(spec, new_tower):
    with torch.device("meta"):
        module = new_tower(width=64, rows=500)
        tie(module, spec)
    materialize(module)
    assert module.head.weight is module.embed.weight
    assert 0.9 < float(module.embed.weight.detach().std()) < 1.1


def test_drawn_init_follows_when_the_module_becomes_real(new_tower):
    spec = {"share": [{"tie": ["embed.weight", "head.weight"], "name": "E", "init": "normal(0.02)"}]}
    with torch.device("meta"):
        lazy = new_tower(width=64, rows=500)
        tie(lazy, spec)
    eager = new_tower(width=64, rows=500)
    tie(eager, spec)
    lazy.to_empty(device="cpu")
    assert torch.equal(lazy.embed.weight, eager.embed.weight)
    materialize(lazy)
    assert torch.equal(lazy.embed.weight, eager.embed.weight)
    with torch.no_grad():
        lazy.embed.weight.fill_(3)
    lazy.double()
    assert bool((lazy.embed.weight == 3).all())


def test_loaded_values_are_not_drawn_over(new_tower):
    spec = {"share": [{"tie": ["embed.weight", "head.weight"], "name": "E", "init": "zeros"}]}
    with torch.device("meta"):
        lazy = new_tower()
        tie(lazy, spec)
    state = {key: torch.ones_like(value) for key, value in new_tower().state_dict().items()}
    lazy.load_state_dict(state, assign=True)
    lazy.double()
    assert bool((lazy.embed.weight == 1).all())


def test_normal_alone_takes_the_first_sites_deviation(new_tower):
    spec = {"share": [{"tie": ["embed.weight", "head.weight"], "name": "E", "init": "normal"}]}
    with torch.device("meta"):
        lazy = new_tower(width=64, rows=500)
        tie(lazy, spec)
    state = torch.random.get_rng_state()
    lazy.to_empty(device="cpu")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert 0.9 < float(lazy.embed.weight.detach().std()) < 1.1


def test_site_init_is_initialized_by_that_site(new_tower):
    spec = {"share": [{"tie": ["embed.weight", "head.weight"], "init": "site(head.weight)"}]}
    with torch.device("meta"):
        lazy = new_tower(width=64, rows=500)
        tie(lazy, spec)
    materialize(lazy)
    assert float(lazy.embed.weight.detach().std()) < 0.1


def test_lstm_reset_leaves_shared_weights():
    lstm = nn.LSTM(4, 4, num_layers=2)
    plan = {"share": ["a.weight_hh_l{l:int} = H"]}
    box = nn.ModuleDict({"a": lstm, "b": nn.LSTM(4, 4)})
    tie(box, {"share": [*plan["share"], {"tie": ["a.weight_ih_l0", "b.weight_ih_l0"]}]})
    shared = box["b"].weight_ih_l0.detach().clone()
    box["b"].reset_parameters()
    assert torch.equal(box["b"].weight_ih_l0, shared)


def test_untie_gives_the_reset_back(tower, spec):
    tie(tower, spec)
    untie(tower)
    assert "reset_parameters" not in vars(tower.head)
    value = tower.head.weight.detach().clone()
    tower.head.reset_parameters()
    assert not torch.equal(tower.head.weight, value)


def test_a_reset_of_the_instance_is_kept(tower):
    calls = []
    tower.head.reset_parameters = lambda: calls.append(1)
    tower.head.bias = nn.Parameter(torch.zeros(12))
    tie(tower, {"share": [{"tie": ["embed.weight", "head.weight"]}]})
    tower.head.reset_parameters()
    untie(tower)
    tower.head.reset_parameters()
    assert calls == [1, 1]
