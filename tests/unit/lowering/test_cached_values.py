"""Values that are computed once for many forward passes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_tying.algebra.expression import Read, Sum
from lightning_tying.lowering.runtime.cached_values import cache_values
from tests.derived import T, counted, low_rank, tie, turned, two_layers


def test_once_for_all_steps() -> None:
    net, _ = two_layers()
    x = torch.randn(2, 6)
    expected = net(x)
    with torch.no_grad(), counted() as calls:
        with cache_values(net):
            for _ in range(5):
                output = net(x)
        assert len(calls) == 2
        net(x)
    assert len(calls) == 4
    assert torch.equal(output, expected)


def test_inference_mode_has_values_of_its_own() -> None:
    net, _ = two_layers()
    x = torch.randn(2, 6)
    with cache_values(net), counted() as calls:
        with torch.inference_mode():
            net(x)
        with torch.no_grad():
            output = net(x)
            net(x)
    assert len(calls) == 4
    assert not output.is_inference()


def test_gradients_are_never_cut() -> None:
    net, templates = two_layers()
    x = torch.randn(2, 6)
    with cache_values(net):
        with torch.no_grad():
            net(x)
        with torch.no_grad():
            templates.add_(1)  # not allowed inside, and training still sees it
        net(x).sum().backward()
    grad = templates.grad.clone()
    templates.grad = None
    net(x).sum().backward()
    assert torch.equal(templates.grad, grad)


def test_nested_contexts_and_failures() -> None:
    net, templates = two_layers()
    x = torch.randn(2, 6)
    with torch.no_grad(), counted() as calls:
        with cache_values(net):
            net(x)
            with pytest.raises(KeyError), cache_values(net[0]):
                net(x)
                raise KeyError
            net(x)
            assert len(calls) == 2
        templates.mul_(2)
        before = net(x)
    assert len(calls) == 4
    assert torch.equal(before, net(x))


def test_a_cached_view_is_not_handed_out() -> None:
    layer, shared = nn.Linear(4, 3), nn.Parameter(torch.randn(4, 3))
    tie(layer, "weight", turned(3, 4), shared)
    before = shared.detach().clone()
    with torch.no_grad(), cache_values(layer):
        layer(torch.randn(1, 4))
        layer.weight.zero_()
    assert torch.equal(shared, before)
    assert torch.equal(layer.weight, before.t())


def test_low_rank_is_added_once_too() -> None:
    layer = nn.Linear(6, 6)
    expression = Sum((6, 6), (Read((6, 6), T), low_rank((6, 6), 1)), (1, 1))
    tie(layer, "weight", expression, *(nn.Parameter(torch.randn(size)) for size in ((6, 6), (1, 6), (6, 1))))
    x = torch.randn(1, 6)
    with torch.no_grad(), counted() as calls:
        expected = layer(x)
        assert calls == []
        with cache_values(layer):
            assert torch.allclose(layer(x), expected, atol=1e-5)
            layer(x)
        assert len(calls) == 1
