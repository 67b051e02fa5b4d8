"""Sites that are computed: names in the state dict, classes, refusals, copies."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from lightning_tying.algebra.expression import Call, ParameterName, Read, Sum
from lightning_tying.errors import ApplyError
from lightning_tying.lowering.materialize import materialize_module
from lightning_tying.lowering.runtime.parametrize import (
    as_stock,
    find_value,
    install_readers,
    parametrize_site,
    remove_readers,
    stock_class,
    unparametrize_site,
)
from lightning_tying.lowering.runtime.site_value import SiteValue
from tests.derived import T, mix, tie, turned, two_layers


def test_state_has_the_slots_and_nothing_else() -> None:
    net, templates = two_layers()
    prefix = "parametrizations.weight.0"
    assert set(net.state_dict()) == {
        "0.bias", f"0.{prefix}.mix_a", f"0.{prefix}.T", "2.bias", f"2.{prefix}.mix_a", f"2.{prefix}.T",
    }  # fmt: skip
    assert len(list(net.parameters())) == 5
    assert parametrize.is_parametrized(net[0], "weight")
    assert net[0].parametrizations["weight"][0].T is templates


def test_class_is_called_as_before_and_is_the_modules_own() -> None:
    net, _ = two_layers()
    kind = type(net[0])
    assert isinstance(net[0], nn.Linear)
    assert (kind.__name__, kind.__qualname__, kind.__module__) == ("Linear", "Linear", nn.Linear.__module__)
    assert kind is not type(net[2])
    assert stock_class(net[0]) is stock_class(nn.Linear(1, 1)) is nn.Linear
    assert inspect.signature(net[0].forward) == inspect.signature(nn.Linear(1, 1).forward)


@pytest.mark.parametrize(
    "write",
    [
        lambda layer: setattr(layer, "weight", torch.ones(6, 6)),
        lambda layer: setattr(layer, "weight", nn.Parameter(torch.ones(6, 6))),
        lambda layer: setattr(layer, "weight", None),
        lambda layer: delattr(layer, "weight"),
        lambda layer: layer.register_parameter("weight", None),
        lambda layer: layer.parametrizations.weight.right_inverse(torch.ones(6, 6)),
    ],
)
def test_assigning_is_refused_and_changes_nothing(write: Callable[[Any], None]) -> None:
    net, _ = two_layers()
    before = net[0].weight.detach()
    with pytest.raises(ApplyError, match=r"`weight` is computed from .*`T` .*materialize\(module\) first"):
        write(net[0])
    assert torch.equal(net[0].weight, before)


def test_initializers_cannot_reach_a_shared_parameter_through_a_view() -> None:
    layer = nn.Linear(4, 3)
    shared = nn.Parameter(torch.randn(4, 3))
    tie(layer, "weight", turned(3, 4), shared)
    before = shared.detach().clone()
    nn.init.zeros_(layer.weight)
    with torch.no_grad():
        layer.weight.fill_(7)
    layer.weight.data.fill_(7)
    assert torch.equal(shared, before)


def test_bare_reads_do_not_hand_out_the_parameter() -> None:
    layer = nn.Linear(4, 3)
    shared = nn.Parameter(torch.randn(3, 4))
    parametrize_site(layer, "weight", SiteValue(Read((3, 4), T), [0.5], [shared], torch.float32))
    layer.weight.data.zero_()
    assert shared.abs().sum() > 0
    layer(torch.ones(2, 4)).sum().backward()
    assert torch.equal(shared.grad, torch.full((3, 4), 2 * 0.5))


def test_unparametrize_restores_class_order_and_value() -> None:
    layer = nn.Linear(4, 4)
    tie(layer, "weight", mix((4, 4), "w"), nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(3, 4, 4)))
    tie(layer, "bias", mix((4,), "b"), nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(3, 4)))
    weight = nn.Parameter(torch.ones(4, 4))
    unparametrize_site(layer, "bias", nn.Parameter(torch.zeros(4)))
    assert find_value(layer, "weight") is not None
    assert type(layer) is not nn.Linear
    unparametrize_site(layer, "weight", weight)
    assert type(layer) is nn.Linear
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert layer.weight is weight
    with pytest.raises(ApplyError, match="not computed"):
        unparametrize_site(layer, "weight", weight)
    with pytest.raises(ApplyError, match="no parameter `parametrizations`"):
        parametrize_site(layer, "parametrizations", nn.Module())  # type: ignore[arg-type]


@pytest.mark.parametrize("torch_first", [True, False])
def test_beside_a_parametrization_of_torch(torch_first: bool) -> None:
    class Double(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    layer, shared = nn.Linear(4, 3), nn.Parameter(torch.randn(4, 3))
    bias = layer.bias.detach().clone()
    if torch_first:
        parametrize.register_parametrization(layer, "bias", Double())
    tie(layer, "weight", turned(3, 4), shared)
    if not torch_first:
        parametrize.register_parametrization(layer, "bias", Double())
    x = torch.randn(2, 4)
    expected = x @ shared + 2 * bias
    replica = copy.deepcopy(layer)
    with pytest.raises(RuntimeError, match=r"bias .*parametrization of torch"):
        pickle.dumps(layer)
    for each in (layer, replica):
        assert torch.allclose(each(x), expected)
    parametrize.remove_parametrizations(layer, "bias", leave_parametrized=False)
    assert torch.allclose(layer(x), x @ shared + bias)
    assert torch.allclose(replica(x), expected)  # its class is its own
    unparametrize_site(layer, "weight", nn.Parameter(shared.detach().t().clone()))
    assert type(layer) is nn.Linear


@pytest.mark.parametrize(
    "register",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        lambda layer: parametrize.register_parametrization(layer, "weight", nn.Identity()),
    ],
)
def test_no_parametrization_on_top(register: Callable[[nn.Module], Any]) -> None:
    net, _ = two_layers()
    x = torch.randn(2, 6)
    before, keys = net(x), list(net.state_dict())
    with pytest.raises(ApplyError, match=r"computed by a sharing spec, so .* cannot be registered"):
        register(net[0])
    assert list(net.state_dict()) == keys
    assert torch.equal(net(x), before)


def test_torch_can_remove_the_parametrization() -> None:
    net, _ = two_layers()
    weight = net[0].weight.detach()
    parametrize.remove_parametrizations(net[0], "weight")
    assert type(net[0]) is nn.Linear
    assert torch.equal(net[0].weight, weight)
    assert find_value(net[0], "weight") is None


def pickled(module: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(module))


def saved(module: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("replicate", [copy.deepcopy, pickled, saved])
def test_copies_are_tied_among_themselves_with_classes_of_their_own(replicate: Callable[[Any], Any]) -> None:
    net, templates = two_layers()
    x = torch.randn(5, 6)
    expected = net(x)
    expected.sum().backward()
    replica = replicate(net)
    assert torch.equal(replica(x), expected)
    one, other = (replica[place].parametrizations["weight"][0].T for place in (0, 2))
    assert one is other
    assert one is not templates
    assert type(replica[0]) is not type(net[0])
    assert stock_class(replica[0]) is nn.Linear
    unparametrize_site(replica[0], "weight", nn.Parameter(torch.zeros(6, 6)))
    assert torch.equal(net(x), expected)
    assert len(list(net.parameters())) == 5


def test_spawned_processes_get_a_tied_module() -> None:
    from multiprocessing.reduction import ForkingPickler

    net, _ = two_layers()
    net(torch.randn(2, 6)).sum().backward()
    net.zero_grad()
    replica = pickle.loads(bytes(ForkingPickler.dumps(net)))
    assert replica[0].parametrizations["weight"][0].T is replica[2].parametrizations["weight"][0].T


def test_conversions_follow() -> None:
    net, _ = two_layers()
    net.double()
    assert net[0].weight.dtype == torch.float64
    assert net(torch.randn(2, 6, dtype=torch.float64)).dtype == torch.float64
    net.to("meta")
    assert net(torch.randn(2, 6, dtype=torch.float64, device="meta")).shape == (2, 6)
    assert net[0].weight.device.type == "meta"


def test_value_has_the_sites_dtype() -> None:
    layer, shared = nn.Linear(4, 3).bfloat16(), nn.Parameter(torch.randn(4, 3))
    value = tie(layer, "weight", turned(3, 4), shared)
    assert layer.weight.dtype == torch.bfloat16
    assert layer(torch.ones(1, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    layer.double()
    assert (value.dtype, shared.dtype) == (torch.float64, torch.float64)


def test_slots_may_be_called_as_attributes_of_modules() -> None:
    layer, shared = nn.Linear(4, 3), nn.Parameter(torch.randn(4, 3))
    value = tie(layer, "weight", Call((3, 4), "t", (Read((4, 3), ParameterName("half")),)), shared)
    assert torch.equal(layer.weight, shared.t())
    value.half = nn.Parameter(torch.ones(4, 3))  # as a re-tie does
    assert torch.equal(layer.weight, torch.ones(3, 4))
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.0.half"]


def test_training_reaches_the_value() -> None:
    layer, shared = nn.Linear(30, 30).eval(), nn.Parameter(torch.ones(30, 30))
    tie(layer, "weight", Call((30, 30), "drop", (Read((30, 30), T),), (("p", 0.5),)), shared)
    assert torch.equal(layer.weight, shared)
    layer.train()
    assert not torch.equal(layer.weight, layer.weight)


def test_stock_reset_works_on_scratch() -> None:
    layer, shared = nn.Linear(4, 3), nn.Parameter(torch.randn(4, 3))
    tie(layer, "weight", turned(3, 4), shared)
    before, bias = shared.detach().clone(), layer.bias.detach().clone()
    scratch = nn.Parameter(torch.empty(3, 4))
    with as_stock(layer, {"weight": scratch}):
        assert type(layer) is nn.Linear
        assert list(layer.state_dict()) == ["weight", "bias"]
        layer.reset_parameters()
    assert torch.equal(shared, before)
    assert not torch.equal(layer.bias, bias)
    assert torch.equal(layer.weight, shared.t())
    assert scratch.abs().max() <= 0.5


def test_materialize_leaves_a_plain_module() -> None:
    net, _ = two_layers()
    head = nn.Linear(6, 6)
    head.weight = nn.Parameter(torch.randn(6, 6))
    other = nn.Linear(6, 6)
    other.weight = head.weight
    net.extend([head, other, nn.MultiheadAttention(6, 2)])
    tie(net[5].out_proj, "weight", turned(6, 6), nn.Parameter(torch.randn(6, 6), requires_grad=False))
    install_readers(net)
    x = torch.randn(5, 6)
    expected, attended = net[:5](x), net[5](x, x, x)[0]
    net.eval()
    assert materialize_module(net) is net
    assert torch.allclose(net[:5](x), expected, atol=1e-6)
    assert torch.allclose(net[5](x, x, x)[0], attended, atol=1e-6)
    assert [type(net[place]) for place in (0, 2, 5)] == [nn.Linear, nn.Linear, nn.MultiheadAttention]
    assert net[3].weight is net[4].weight
    assert list(net[0].state_dict()) == ["weight", "bias"]
    assert not net[5].out_proj.weight.requires_grad
    assert net[0].weight.requires_grad


def test_materialized_dropout_is_the_mean() -> None:
    layer, shared = nn.Linear(30, 30), nn.Parameter(torch.ones(30, 30))
    tie(layer, "weight", Call((30, 30), "drop", (Read((30, 30), T),), (("p", 0.5),)), shared)
    assert layer.training
    assert torch.equal(materialize_module(layer).weight, torch.ones(30, 30))


def test_readers_are_put_in_and_taken_out() -> None:
    attention = nn.MultiheadAttention(6, 2)
    other = nn.MultiheadAttention(6, 2)
    root = nn.ModuleList([attention, other])
    tie(attention.out_proj, "weight", turned(6, 6), nn.Parameter(torch.randn(6, 6)))
    install_readers(root)
    install_readers(root)
    assert type(attention).__bases__ == (nn.MultiheadAttention,)
    assert type(other) is nn.MultiheadAttention
    replica = copy.deepcopy(root)
    unparametrize_site(attention.out_proj, "weight", nn.Parameter(torch.zeros(6, 6)))
    remove_readers(root)
    assert type(attention) is nn.MultiheadAttention
    assert type(replica[0]) is not nn.MultiheadAttention


def test_sum_of_a_user_module_with_several_sites() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Parameter(torch.randn(4, 4))
            self.two = nn.Parameter(torch.randn(4, 4))

        def forward(self, x: torch.Tensor, *, twice: bool = False) -> torch.Tensor:
            return x @ self.one @ (self.two + self.two if twice else self.two)

    pair, shared = Pair(), nn.Parameter(torch.randn(4, 4))
    tie(pair, "one", turned(4, 4), shared)
    tie(pair, "two", Sum((4, 4), (Read((4, 4), T),), (-1,)), shared)
    x = torch.randn(2, 4)
    assert torch.allclose(pair(x, twice=True), x @ shared.t() @ (-2 * shared), atol=1e-5)
