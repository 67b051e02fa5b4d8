"""`grad`, `lr`, `weight_decay` and `frozen` of tied models against training loops written by hand, in float64."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from lightning_tying.api import tie
from lightning_tying.errors import SharingWarning
from lightning_tying.lowering.parameter_groups import parameter_groups

DEPTH, WIDTH = 4, 5


@pytest.fixture(autouse=True)
def doubles():
    torch.set_default_dtype(torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)
        yield
    torch.set_default_dtype(torch.float32)


def make_net():
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(DEPTH)))


def run(weights, x):
    for weight in weights:
        x = torch.tanh(x @ weight.t())
    return x.square().sum()


FACTORS = {
    "sum": [1, 1, 1, 1],
    "mean": [0.25] * 4,
    "owner": [1, 0, 0, 0],
    "stop": [0, 0, 0, 0],
    "scale": [0.9**3, 0.9**2, 0.9, 1],
}


@pytest.mark.parametrize("kind", FACTORS)
def test_gradient_policies(kind):
    net = make_net()
    scale = {"scale": "0.9 ** (count(l) - 1 - l)"}
    tie(net, {"share": [{"sites": "{l}.weight", "equals": "W", "grad": scale if kind == "scale" else kind}]})
    shared = dict.fromkeys(net.parameters())
    assert len(shared) == 1
    (weight,) = shared
    copies = [weight.detach().clone().requires_grad_() for _ in range(DEPTH)]
    x = torch.randn(3, WIDTH)
    expected, found = run(copies, x), net_loss(net, x)
    assert torch.equal(expected, found)  # a policy never changes the value
    expected.backward()
    if kind == "stop":
        assert not found.requires_grad or torch.autograd.grad(found, weight, allow_unused=True)[0] in (None, 0)
        return
    found.backward()
    wanted = sum(factor * each.grad for factor, each in zip(FACTORS[kind], copies, strict=True))
    torch.testing.assert_close(weight.grad, wanted, rtol=1e-12, atol=1e-14)


def net_loss(net, x):
    for layer in net:
        x = torch.tanh(layer(x))
    return x.square().sum()


def test_a_policy_of_one_use_of_several():
    net = make_net()
    spec = [
        {"sites": "{l}.weight", "equals": "W", "where": "l != 2"},
        {"sites": "2.weight", "equals": "W", "grad": {"scale": 0.5}},
    ]
    tie(net, {"share": spec})
    assert net[0].weight is net[3].weight is net[2].parametrizations.weight[0].W
    copies = [net[0].weight.detach().clone().requires_grad_() for _ in range(DEPTH)]
    x = torch.randn(3, WIDTH)
    run(copies, x).backward()
    net_loss(net, x).backward()
    wanted = sum(factor * each.grad for factor, each in zip([1, 1, 0.5, 1], copies, strict=True))
    torch.testing.assert_close(net[0].weight.grad, wanted, rtol=1e-12, atol=1e-14)


def test_own_parameters_have_their_whole_gradient():
    net = make_net()
    tie(net, {"share": [{"sites": "{l}.weight", "equals": "W + low_rank(2)", "grad": "stop"}]})
    held = net[1].parametrizations.weight[0]
    net_loss(net, torch.randn(3, WIDTH)).backward()
    assert held.W.grad is None or not held.W.grad.any()
    assert held.low_rank_B.grad.abs().sum() > 0


class ByHand:
    """W + B A in every layer, written out; the optimizer of a policy is a group of its own."""

    def __init__(self, net) -> None:
        values = [layer.parametrizations.weight[0] for layer in net]
        copy = {}
        for value in values:
            for parameter in value.parameters():
                copy.setdefault(id(parameter), parameter.detach().clone().requires_grad_())
        self.w = [copy[id(value.W)] for value in values]
        self.a = [copy[id(value.low_rank_A)] for value in values]
        self.b = [copy[id(value.low_rank_B)] for value in values]

    def loss(self, x):
        weights = [
            0.5 * (w - w.detach()) + w.detach() + b @ a for w, a, b in zip(self.w, self.a, self.b, strict=True)
        ]  # value W, gradient halved
        return run(weights, x)


OPTIMIZERS = {
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=1e-2, weight_decay=0.1),
    "sgd": lambda groups: torch.optim.SGD(groups, lr=1e-2, weight_decay=0.1, momentum=0.9),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_five_steps_of_training(name):
    net = make_net()
    tie(
        net,
        {
            "share": [{"sites": "{l}.weight", "equals": "W[l % 2] + low_rank(2)", "grad": "mean"}],
            "parameters": {"low_rank": {"lr": 0.3}, "low_rank.B": {"lr": 0.3, "weight_decay": 0}, "W": {"lr": 2}},
        },
    )
    hand = ByHand(net)
    groups = [
        {
            "params": group["params"],
            "lr": 1e-2 * group["lr_scale"],
            "weight_decay": 0.1 * group["weight_decay_scale"],
        }
        for group in parameter_groups(net)
    ]
    assert len(groups) == 3
    ours = OPTIMIZERS[name](groups)
    theirs = OPTIMIZERS[name](
        [
            {"params": list(dict.fromkeys(hand.w)), "lr": 2e-2},
            {"params": hand.a, "lr": 3e-3},
            {"params": hand.b, "lr": 3e-3, "weight_decay": 0.0},
        ]
    )
    for step in range(5):
        x = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(step))
        losses = []
        for optimizer, loss in ((ours, net_loss(net, x)), (theirs, hand.loss(x))):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.testing.assert_close(losses[0], losses[1], rtol=1e-11, atol=0)
    values = [layer.parametrizations.weight[0] for layer in net]
    for value, w, a, b in zip(values, hand.w, hand.a, hand.b, strict=True):
        for one, other in ((value.W, w), (value.low_rank_A, a), (value.low_rank_B, b)):
            torch.testing.assert_close(one.detach(), other.detach(), rtol=1e-9, atol=1e-12)


def test_frozen_families_do_not_train():
    net = make_net()
    tie(net, {"share": ["{l}.weight = W + low_rank(1)"], "parameters": {"W": {"frozen": True}}})
    held = net[0].parametrizations.weight[0]
    assert not held.W.requires_grad and held.low_rank_A.requires_grad
    assert all(parameter is not held.W for group in parameter_groups(net) for parameter in group["params"])
    net_loss(net, torch.randn(2, WIDTH)).backward()
    assert held.W.grad is None and held.low_rank_B.grad is not None


def test_a_value_that_is_stopped_as_a_whole_has_no_gradient_in_a_backward_pass() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tie(net, {"share": ["0.weight = stop(tanh(V))"]})
    net(torch.randn(3, 4)).sum().backward()
    assert net.get_parameter("0.parametrizations.weight.0.V").grad is None
    assert net[0].bias.grad is not None
