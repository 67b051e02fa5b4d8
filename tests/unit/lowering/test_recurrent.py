"""LSTM and GRU with computed weights."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from lightning_tying.algebra.expression import Read, Sum
from lightning_tying.lowering.runtime.parametrize import as_stock, unparametrize_site
from lightning_tying.lowering.runtime.readers import own_sites
from tests.derived import T, counted, tie

KINDS = [
    (nn.LSTM, {"num_layers": 2, "bidirectional": True}),
    (nn.LSTM, {"proj_size": 2, "num_layers": 2}),
    (nn.GRU, {"num_layers": 2, "bidirectional": True}),
    (nn.GRU, {"bias": False, "batch_first": True}),
    (nn.RNN, {}),
]
NAMES = ("weight_hh_l0", "weight_ih_l0")


def twins(kind: type[nn.RNNBase], options: dict[str, Any]) -> tuple[nn.RNNBase, nn.RNNBase]:
    """A recurrent layer two weights of which are twice a shared parameter, and the plain one with equal values."""
    plain = kind(3, 4, **options)
    layer = copy.deepcopy(plain)
    for name in NAMES:
        held = getattr(layer, name)
        shape = tuple(held.shape)
        tie(layer, name, Sum(shape, (Read(shape, T), Read(shape, T)), (1, 1)), nn.Parameter(held.detach() / 2))
    return layer, plain


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_values_and_gradients(kind: type[nn.RNNBase], options: dict[str, Any]) -> None:
    layer, plain = twins(kind, options)
    x = torch.randn(5, 2, 3)
    for _ in range(2):
        output, expected = layer(x)[0], plain(x)[0]
        assert torch.allclose(output, expected, atol=1e-6)
        layer.zero_grad()
        plain.zero_grad()
        output.square().sum().backward()
        expected.square().sum().backward()
    for name in NAMES:
        shared = layer.parametrizations[name][0].T
        assert torch.allclose(shared.grad, 2 * getattr(plain, name).grad, atol=1e-5)


def test_each_value_once_forward_and_at_most_once_backward() -> None:
    layer, _ = twins(nn.LSTM, {})
    x = torch.randn(9, 2, 3)
    layer(x)
    with counted() as calls:
        output = layer(x)[0]
        assert len(calls) == 2
        output.sum().backward()
    assert len(calls) <= 4
    with counted() as calls, torch.no_grad():
        layer(x)
    assert len(calls) == 2


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_nothing_is_left_after_a_forward(kind: type[nn.RNNBase]) -> None:
    layer, _ = twins(kind, {"bidirectional": True})
    x = torch.randn(5, 2, 3)
    output = layer(x)[0]
    flat = dict(zip(layer._flat_weights_names, layer._flat_weights, strict=True))
    assert [name for name, weight in flat.items() if weight is None] == ["weight_ih_l0", "weight_hh_l0"]
    for replicate in (copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))):
        replica = replicate(layer)
        assert torch.equal(replica(x)[0], output)
        assert torch.equal(replica(x)[0], output)
        assert replica.bias_ih_l0 is not layer.bias_ih_l0
        flat = replica._flat_weights[replica._flat_weights_names.index("bias_ih_l0")]
        assert flat is replica.bias_ih_l0


def test_nothing_is_left_after_a_forward_that_fails() -> None:
    layer, _ = twins(nn.LSTM, {})
    with pytest.raises(RuntimeError, match="must be equal to input_size"):
        layer(torch.randn(5, 2, 7))
    assert sum(weight is None for weight in layer._flat_weights) == 2


def test_the_old_parameters_are_gone() -> None:
    layer = nn.LSTM(3, 4)
    place = id(layer.weight_hh_l0)
    tie(layer, "weight_hh_l0", Read((16, 4), T), nn.Parameter(torch.randn(16, 4)))
    gc.collect()
    assert all(id(each) != place for each in gc.get_objects() if isinstance(each, nn.Parameter))


def test_conversions_and_removal() -> None:
    layer, plain = twins(nn.GRU, {})
    layer.double()
    x = torch.randn(5, 2, 3)
    assert torch.allclose(layer(x.double())[0].float(), plain(x)[0], atol=1e-5)
    layer.float()
    for name in NAMES:
        unparametrize_site(layer, name, nn.Parameter(getattr(plain, name).detach().clone()))
    assert type(layer) is nn.GRU
    assert list(layer.state_dict()) == list(plain.state_dict())
    assert torch.allclose(layer(x)[0], plain(x)[0], atol=1e-6)
    flat = zip(layer._flat_weights_names, layer._flat_weights, strict=True)
    assert all(weight is getattr(layer, name) for name, weight in flat)


def test_stock_reset_leaves_the_slots_alone() -> None:
    layer, _ = twins(nn.LSTM, {})
    before = {name: layer.parametrizations[name][0].T.detach().clone() for name in NAMES}
    bias = layer.bias_hh_l0.detach().clone()
    scratch = {site.tensor_name: nn.Parameter(torch.empty(site.value.expression.shape)) for site in own_sites(layer)}
    with as_stock(layer, scratch):
        layer.reset_parameters()
    for name in NAMES:
        assert torch.equal(layer.parametrizations[name][0].T, before[name])
        assert scratch[name].abs().max() <= 0.5
    assert not torch.equal(layer.bias_hh_l0, bias)
    layer(torch.randn(5, 2, 3))


def test_packed_sequences() -> None:
    layer, plain = twins(nn.LSTM, {"bidirectional": True})
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(5, 2, 3), [5, 3])
    assert torch.allclose(layer(packed)[0].data, plain(packed)[0].data, atol=1e-6)
