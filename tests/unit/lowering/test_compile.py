"""Modules with computed tensors under torch.compile: one graph, equal results, no recompilation after a re-tie."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

import lightning_tying
from lightning_tying.algebra.expression import Call, Read, Sum
from lightning_tying.lowering.runtime.parametrize import install_readers
from tests.derived import T, low_rank, mix, tie, turned, two_layers


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def assert_equal_runs(module: nn.Module, *inputs: torch.Tensor, backend: str = "aot_eager") -> None:
    """Compile, run forward and backward, compare with the eager module."""
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(module, backend=counter, fullgraph=True)
    results: list[list[torch.Tensor]] = []
    for each in (module, compiled):
        module.zero_grad()
        output = each(*inputs)
        output = output[0] if isinstance(output, tuple) else output
        output.square().sum().backward()
        results.append([output.detach(), *(p.grad.clone() for p in module.parameters() if p.grad is not None)])
    assert len(results[0]) == len(results[1])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert counter.frame_count == 1


def test_one_graph_and_none_more_after_a_retie() -> None:
    net, _ = two_layers()
    x = torch.randn(5, 6)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(net, backend=counter, fullgraph=True)
    assert torch.allclose(compiled(x), net(x), atol=1e-6)
    other = nn.Parameter(torch.randn(3, 6, 6))
    for layer in (net[0], net[2]):
        layer.parametrizations["weight"][0].T = other
    assert torch.allclose(compiled(x), net(x), atol=1e-6)
    compiled(x).sum().backward()
    assert other.grad is not None
    assert counter.frame_count == 1


def test_gradients() -> None:
    net, _ = two_layers()
    assert_equal_runs(net, torch.randn(5, 6))


@pytest.mark.parametrize("rows", [2, 100])
def test_low_rank_on_either_side(rows: int) -> None:
    layer = nn.Linear(12, 12)
    expression = Sum((12, 12), (Read((12, 12), T), low_rank((12, 12), 2)), (1, 1))
    tie(layer, "weight", expression, *(nn.Parameter(torch.randn(size)) for size in ((12, 12), (2, 12), (12, 2))))
    assert_equal_runs(layer, torch.randn(rows, 12))


def test_fixed_maps_and_gradient_factors() -> None:
    layer = nn.Linear(4, 6)
    value = tie(
        layer, "weight", Call((6, 4), "hashed", (Read((9,), T),), (), (), "fc.weight"), nn.Parameter(torch.randn(9))
    )
    value.factors = (0.5,)
    assert_equal_runs(layer, torch.randn(3, 4))


def test_attention_with_a_reader() -> None:
    attention = nn.MultiheadAttention(6, 2)
    tie(attention.out_proj, "weight", turned(6, 6), nn.Parameter(torch.randn(6, 6)))
    install_readers(attention)
    x = torch.randn(3, 2, 6)
    assert_equal_runs(attention, x, x, x)


def test_without_gradients_one_graph_more() -> None:
    net, _ = two_layers()
    x = torch.randn(5, 6)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(net, backend=counter, fullgraph=True)
    expected = compiled(x)
    with torch.no_grad():
        assert torch.allclose(compiled(x), expected)
        compiled(x)
    assert counter.frame_count == 2


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_recurrent_layers_with_the_flag(kind: type[nn.RNNBase], backend: str) -> None:
    layer = kind(3, 4)
    shape = tuple(layer.weight_hh_l0.shape)
    tie(layer, "weight_hh_l0", mix(shape, "h"), nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(3, *shape)))
    x = torch.randn(5, 2, 3)
    with torch._dynamo.config.patch(allow_rnn=True):
        if (kind, backend) != (nn.LSTM, "aot_eager"):  # there the backward pass of any LSTM fails, a plain one's too
            assert_equal_runs(layer, x, backend=backend)
        with torch.no_grad():
            compiled = torch.compile(layer, backend=backend, fullgraph=True)
            assert torch.allclose(compiled(x)[0], layer(x)[0], atol=1e-6)
    assert sum(weight is None for weight in layer._flat_weights) == 1
    layer(x)[0].sum().backward()


def test_other_tracers() -> None:
    net, _ = two_layers()
    x = torch.randn(5, 6)
    exported = torch.export.export(net, (x,))
    assert set(exported.state_dict) == set(net.state_dict())
    assert torch.allclose(exported.module()(x), net(x), atol=1e-6)
    assert torch.allclose(make_fx(lambda each: net(each))(x)(x), net(x), atol=1e-6)
    with FakeTensorMode():
        fake, _ = two_layers()
        fake(torch.randn(5, 6)).sum().backward()


def tied_stack(value: str, device: str) -> nn.Module:
    with torch.device(device):
        net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    spec = {"share": [{"sites": ["0.weight", "2.weight"], "equals": value}], "parameters": {"P": {"shape": [16]}}}
    if "P" not in value:
        del spec["parameters"]
    lightning_tying.tie(net, spec)
    return net


@pytest.mark.parametrize("value", ["W + low_rank(2)", "hashed(P)"])
def test_a_module_on_meta_is_traced(value: str) -> None:
    """Programs are made when they are first needed there, which may be inside a trace."""
    compiled = torch.compile(tied_stack(value, "meta"), backend="eager", fullgraph=True)
    assert compiled(torch.empty(3, 8, device="meta")).shape == (3, 8)


@pytest.mark.parametrize("value", ["W + low_rank(2)", "hashed(P)"])
def test_one_trace_after_weights_were_assigned_to_a_module_on_meta(value: str) -> None:
    real, net = tied_stack(value, "cpu"), tied_stack(value, "meta")
    net.load_state_dict(real.state_dict(), assign=True)
    counter = CompileCounterWithBackend("eager")
    compiled = torch.compile(net, backend=counter, fullgraph=True)
    x = torch.randn(3, 8)
    assert torch.equal(compiled(x), real(x))
    assert torch.equal(compiled(x), net(x))
    assert counter.frame_count == 1
