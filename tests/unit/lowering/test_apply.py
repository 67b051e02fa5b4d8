"""`apply_plan`: all or nothing, idempotent, keeps the owner's parameter, works on meta."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn

from lightning_tying.api import make_plan, tie
from lightning_tying.errors import ApplyError, SharingWarning, SpecError
from lightning_tying.lowering.apply import apply_plan
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.state import read_state


def snapshot(module):
    """All that a refused call must not change."""
    hooks = [(len(m._load_state_dict_pre_hooks), len(m._load_state_dict_post_hooks)) for m in module.modules()]
    own = [sorted(vars(m)) for m in module.modules()]
    named = dict(module.named_parameters(remove_duplicate=False))
    ids = {name: id(p) for name, p in named.items()}
    values = {name: p.detach().clone() for name, p in named.items()}
    trainable = {name: p.requires_grad for name, p in named.items()}
    return hooks, own, ids, values, trainable


def assert_unchanged(module, before):
    after = snapshot(module)
    assert after[:3] == before[:3] and after[4] == before[4]
    assert all(torch.equal(after[3][name], value) for name, value in before[3].items())


def test_owner_keeps_its_parameter_and_value(tower, spec):
    owner, value = tower.embed.weight, tower.embed.weight.detach().clone()
    tie(tower, spec)
    assert tower.embed.weight is owner and tower.head.weight is owner
    assert torch.equal(owner, value)
    assert tower.layers[2]["up"].weight is tower.layers[0]["up"].weight
    assert tower.layers[1]["up"].weight is not tower.layers[0]["up"].weight


def test_twice_is_once(tower, spec):
    plan = tie(tower, spec)
    before = snapshot(tower)
    assert tie(tower, spec) is plan
    assert_unchanged(tower, before)
    apply_plan(plan, tower)
    tie(tower, plan)
    assert_unchanged(tower, before)


@pytest.mark.parametrize("init", ["mean", "normal(0.02)", "zeros", "orthogonal"])
def test_twice_keeps_trained_values(tower, init):
    spec = {"share": [{"sites": "layers.{l}.up.weight", "equals": "W", "init": init}]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)
        plan = tie(tower, spec)
    with torch.no_grad():
        tower.layers[0]["up"].weight.add_(1)
    trained = tower.layers[0]["up"].weight.detach().clone()
    tie(tower, plan)
    assert torch.equal(tower.layers[0]["up"].weight, trained)


def test_another_spec_is_refused(tower, spec):
    tie(tower, spec)
    before = snapshot(tower)
    with pytest.raises(ApplyError, match=r"another spec\. Its spec has no .* `embed\.weight`\. Untie it first: "):
        tie(tower, {"share": [{"tie": ["embed.weight", "head.weight"]}]})
    other = Plan(read_state(tower).plan.spec, read_state(tower).plan.graph, ())
    with pytest.raises(ApplyError, match="steps are not those of its graph"):
        tie(tower, other)
    assert_unchanged(tower, before)


def test_plan_of_another_model_is_refused(tower, new_tower, spec):
    plan = make_plan(tower, spec)
    wide, shallow = new_tower(width=16), new_tower(depth=2)
    for module, words in ((wide, "the plan has"), (shallow, "layers.2")):
        before = snapshot(module)
        with pytest.raises(ApplyError, match=words):
            tie(module, plan)
        assert_unchanged(module, before)


def test_plan_made_on_meta_applies_to_the_real_model(tower, new_tower, spec):
    with torch.device("meta"):
        plan = make_plan(new_tower(), spec)
    tie(tower, Plan.from_dict(plan.to_dict()))
    assert tower.head.weight is tower.embed.weight


def test_an_attribute_that_refuses_rolls_everything_back(tower):
    class Stubborn(nn.Linear):
        closed = False

        def __setattr__(self, name, value):
            if name == "weight" and self.closed:
                raise RuntimeError("no")
            super().__setattr__(name, value)

    tower.layers[3]["up"] = Stubborn(8, 8)
    tower.layers[3]["up"].closed = True
    before = snapshot(tower)
    with pytest.raises(RuntimeError, match="no"):
        tie(tower, {"share": [{"sites": "layers.{l}.up.weight", "equals": "W"}]})
    assert_unchanged(tower, before)


def test_mean_site_stepwise(tower, new_tower):
    ups = [layer["up"].weight.detach().clone() for layer in tower.layers]
    cases = {
        "mean": torch.stack(ups).mean(0),
        "site(layers.2.up.weight)": ups[2],
        "first": ups[0],
        "constant(0.5)": torch.full((8, 8), 0.5),
    }
    for init, expected in cases.items():
        module = copy.deepcopy(tower)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SharingWarning)
            tie(module, {"share": [{"sites": "layers.{l}.up.weight", "equals": "W", "init": init}]})
        assert torch.allclose(module.layers[3]["up"].weight, expected, atol=1e-7), init


def test_stepwise_takes_spread_layers(tower):
    ups = [layer["up"].weight.detach().clone() for layer in tower.layers]
    spec = {"share": [{"sites": "layers.{l}.up.weight", "equals": "W[l // 2]", "init": "stepwise"}]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)
        tie(tower, spec)
    assert torch.equal(tower.layers[0]["up"].weight, ups[0])
    assert torch.equal(tower.layers[2]["up"].weight, ups[3])


def test_frozen_policy(tower):
    spec = {"share": [{"sites": "layers.{l}.up.weight", "equals": "W"}], "parameters": {"W": {"frozen": True}}}
    tie(tower, spec)
    assert not tower.layers[3]["up"].weight.requires_grad
    assert tower.layers[3]["up"].bias.requires_grad


def test_far_initial_values_warn_and_are_reported(tower):
    spec = {"share": [{"sites": "layers.{l}.up.weight", "equals": "W", "init": "mean"}]}
    with pytest.warns(SharingWarning, match=r"W5 .*4 sites start far from what they were, the worst layers\.\d"):
        tie(tower, spec)
    report = read_state(tower).report
    assert len(report.worst) == 4 and report.worst[0][1] == max(distance for _, distance in report.worst)


def test_matrix_init_on_a_vector_is_refused(tower):
    before = snapshot(tower)
    with pytest.raises(SpecError, match=r"orthogonal needs two dimensions; layers.0.norm.weight is \[8\]"):
        tie(tower, {"share": [{"sites": "layers.{l}.norm.weight", "equals": "N", "init": "orthogonal"}]})
    assert_unchanged(tower, before)


def test_inference_parameters_are_refused(spec, new_tower):
    with torch.inference_mode():
        module = new_tower()
    with pytest.raises(ApplyError, match="inference_mode"):
        tie(module, spec)


def test_rnn_weights_follow(spec):
    lstm = nn.LSTM(4, 4, num_layers=2)
    plain = copy.deepcopy(lstm)
    tie(lstm, {"share": ["weight_hh_l{l:int} = H", "weight_ih_l{l:int} = I"]})
    with torch.no_grad():
        plain.weight_hh_l1.copy_(plain.weight_hh_l0)
        plain.weight_ih_l1.copy_(plain.weight_ih_l0)
    x = torch.randn(3, 2, 4)
    assert torch.equal(lstm(x)[0], plain(x)[0])
    assert lstm._flat_weights[lstm._flat_weights_names.index("weight_hh_l1")] is lstm.weight_hh_l0


def test_training_is_bit_identical_to_a_model_tied_by_hand(new_tower, spec, tokens):
    def train(module):
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
        losses = []
        for _ in range(50):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(module(tokens).flatten(0, 1), tokens.flatten())
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    ours = new_tower()
    hand = copy.deepcopy(ours)
    tie(ours, spec)
    hand.head.weight = hand.embed.weight
    for layer in (2, 3):
        for part, name in (("up", "weight"), ("up", "bias"), ("norm", "weight"), ("norm", "bias")):
            setattr(hand.layers[layer][part], name, getattr(hand.layers[layer - 2][part], name))
    assert train(ours) == train(hand)


@pytest.mark.parametrize(("init", "value"), [("first", 1.0), ("mean", 1.5), ("zeros", 0.0)])
def test_aliases_of_a_dtype_that_torch_only_stores(init, value):
    """float8 is promoted with no other dtype."""
    module = nn.Module()
    for name, number in (("a", 1.0), ("b", 2.0)):
        values = torch.full((2, 2), number).to(torch.float8_e4m3fn)
        module.register_parameter(name, nn.Parameter(values, requires_grad=False))
    tie(module, {"share": [{"sites": "{n}", "equals": "W", "init": init}]})
    assert module.a is module.b
    assert torch.equal(module.a.float(), torch.full((2, 2), value))
