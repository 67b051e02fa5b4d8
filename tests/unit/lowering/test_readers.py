"""Values computed once in each forward of their reader, and computed again for the backward pass."""

from __future__ import annotations

import copy
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from lightning_tying.algebra.expression import Call, Product, Read, Sum
from lightning_tying.errors import ApplyError
from lightning_tying.lowering.runtime.parametrize import computed_sites, install_readers
from lightning_tying.lowering.runtime.site_value import SiteValue
from tests.derived import T, counted, mix, tie, turned


class Stack(nn.Module):
    """Linear layers that mix one stack of templates, each with coefficients of its own."""

    def __init__(self, depth: int = 3, width: int = 5, *, keep: bool = False, wrap: Any = None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        double = {"dtype": torch.float64, "generator": generator}
        self.layers = nn.ModuleList(nn.Linear(width, width, bias=False, dtype=torch.float64) for _ in range(depth))
        self.templates = nn.Parameter(torch.randn(3, width, width, **double) / width**0.5)
        self.coefficients = [nn.Parameter(torch.randn(3, **double)) for _ in range(depth)]
        for place, layer in enumerate(self.layers):
            expression = mix((width, width), str(place))
            if wrap is not None:
                expression = wrap(expression)
            tie(layer, "weight", expression, self.coefficients[place], self.templates, keep=keep)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x

    def by_hand(self, x: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor] = lambda w: w) -> torch.Tensor:
        for mixing in self.coefficients:
            x = torch.tanh(F.linear(x, function(torch.einsum("k,kij->ij", mixing, self.templates))))
        return x


def tanh(expression: Any) -> Any:
    return Call(expression.shape, "tanh", (expression,))


def gradients(output: torch.Tensor, module: nn.Module) -> list[torch.Tensor]:
    return list(torch.autograd.grad(output.square().sum(), list(module.parameters())))


def batch(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("wrap", "function"), [(None, lambda w: w), (tanh, torch.tanh)])
def test_values_and_gradients(keep: bool, wrap: Any, function: Any) -> None:
    net, x = Stack(keep=keep, wrap=wrap), batch(4, 5)
    output, expected = net(x), net.by_hand(x, function)
    assert torch.allclose(output, expected, atol=1e-12)
    for one, other in zip(gradients(output, net), gradients(expected, net), strict=True):
        assert torch.allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("wrap", [None, tanh])
def test_second_derivatives(wrap: Any) -> None:
    net, x = Stack(depth=2, wrap=wrap), batch(4, 5)
    function = torch.tanh if wrap else (lambda w: w)

    def penalized(output: torch.Tensor) -> list[torch.Tensor]:
        first = torch.autograd.grad(output.square().sum(), list(net.parameters()), create_graph=True)
        return list(torch.autograd.grad(sum(each.square().sum() for each in first), list(net.parameters())))

    for one, other in zip(penalized(net(x)), penalized(net.by_hand(x, function)), strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_gradcheck() -> None:
    net = Stack(depth=2, width=3, wrap=tanh)
    torch.autograd.gradcheck(lambda *_: net(batch(2, 3)), tuple(net.parameters()))
    torch.autograd.gradgradcheck(lambda *_: net(batch(2, 3)), tuple(net.parameters()))


def test_graph_can_be_used_twice() -> None:
    net, x = Stack(), batch(4, 5)
    loss = net(x).square().sum()
    loss.backward(retain_graph=True)
    once = net.templates.grad.clone()
    loss.backward()
    assert torch.allclose(net.templates.grad, 2 * once)


def test_each_value_once_forward_and_once_backward() -> None:
    net, x = Stack(), batch(4, 5).requires_grad_()
    net(x).sum().backward()  # the first call also looks at what the values' graphs save
    with counted() as calls:
        loss = net(x).sum()
        assert calls == [layer.parametrizations["weight"][0] for layer in net.layers]
        loss.backward()
    assert len(calls) == 6
    with counted() as calls, torch.no_grad():
        net(x)
    assert len(calls) == 3


def held_bytes(run: Callable[[], torch.Tensor]) -> int:
    """What a result and its graph hold, by the profiler: all that was allocated and not freed."""
    with torch.profiler.profile(profile_memory=True) as profile:
        result = run()
    events = profile.events() or []
    del result
    return sum(event.self_cpu_memory_usage for event in events)


@pytest.mark.parametrize("wrap", [None, tanh])
def test_saved_memory_does_not_grow_with_the_number_of_sites(wrap: Any) -> None:
    width, x = 64, batch(2, 64)

    def held(depth: int, keep: bool) -> int:
        net = Stack(depth, width, keep=keep, wrap=wrap)
        net(x)  # measures the graphs once
        return held_bytes(lambda: net(x))

    value = width * width * 8
    assert held(9, True) - held(3, True) > 5 * value
    assert held(9, False) - held(3, False) < value


def test_keep_keeps() -> None:
    net, x = Stack(keep=True), batch(4, 5)
    loss = net(x).sum()
    with counted() as calls:
        loss.backward()
    assert calls == []


def test_dropout_is_drawn_once() -> None:
    layer, shared = nn.Linear(40, 40, bias=False), nn.Parameter(torch.ones(40, 40))
    tie(layer, "weight", Call((40, 40), "drop", (Read((40, 40), T),), (("p", 0.5),)), shared)
    x = torch.eye(40, requires_grad=True)
    output = layer(x)
    grad = torch.autograd.grad(output.sum(), x)[0]
    assert torch.equal(grad[0], output.detach().t().sum(0))


@pytest.mark.parametrize("write", [lambda p: p.add_(1), lambda p: p.mul_(2)])
def test_a_write_between_forward_and_backward_is_refused(write: Callable[[torch.Tensor], Any]) -> None:
    for wrap in (None, tanh):
        net, x = Stack(wrap=wrap), batch(4, 5).requires_grad_()
        loss = net(x).sum()
        with torch.no_grad():
            write(net.templates)
        with pytest.raises((ApplyError, RuntimeError), match=r"changed in place|modified by an inplace operation"):
            loss.backward()


def test_a_write_to_the_input_is_refused_as_without_hooks() -> None:
    net, x = Stack(depth=1), batch(4, 5)
    scaled = x.clone().requires_grad_() * 1
    loss = net.layers[0](scaled).sum()
    with torch.no_grad():
        scaled.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_result_that_saves_itself_makes_no_circle() -> None:
    class Squash(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(x @ self.weight)

    module = Squash()
    tie(module, "weight", turned(4, 4), nn.Parameter(torch.randn(4, 4)))
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(each, torch.Tensor) for each in gc.get_objects())
        for _ in range(5):
            module(torch.randn(2, 4))
        assert sum(isinstance(each, torch.Tensor) for each in gc.get_objects()) <= before
    finally:
        gc.enable()


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("wrap", [None, tanh])
def test_checkpointing(reentrant: bool, inside: bool, wrap: Any) -> None:
    net, x = Stack(wrap=wrap), batch(4, 5).requires_grad_()
    expected = gradients(net.by_hand(x, torch.tanh if wrap else (lambda w: w)), net)
    if inside:
        for layer in net.layers:
            part = type(layer).forward
            layer.forward = lambda h, layer=layer, part=part: checkpoint(part, layer, h, use_reentrant=reentrant)
        output = net(x)
    else:
        output = checkpoint(net, x, use_reentrant=reentrant)
    output.square().sum().backward()
    for one, parameter in zip(expected, net.parameters(), strict=True):
        assert torch.allclose(one, parameter.grad, atol=1e-12)


def test_a_reader_that_checkpoints_a_part_of_itself() -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4, dtype=torch.float64))

        def part(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(x @ self.weight) @ self.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inner = checkpoint(self.part, x @ self.weight, use_reentrant=False)
            return checkpoint(self.part, inner, use_reentrant=False) @ self.weight

    module, shared = Partly(), nn.Parameter(batch(4, 4))
    tie(module, "weight", Product((4, 4), (Read((4, 4), T), Read((4, 4), T))), shared)
    x = batch(3, 4)
    weight = shared * shared
    hidden = torch.tanh(x @ weight @ weight) @ weight
    expected = torch.tanh(hidden @ weight) @ weight @ weight
    output = module(x)
    assert torch.allclose(output, expected)
    one, other = (torch.autograd.grad(each.sum(), shared)[0] for each in (output, expected))
    assert torch.allclose(one, other)


def test_other_hooks_on_saved_tensors_are_left_alone() -> None:
    net, x = Stack(), batch(4, 5)
    expected = gradients(net.by_hand(x), net)
    seen: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(tensor)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = net(x)
    assert len(seen) > 3
    for one, other in zip(gradients(output, net), expected, strict=True):
        assert torch.allclose(one, other, atol=1e-12)
    with save_on_cpu():
        output = net(x)
    for one, other in zip(gradients(output, net), expected, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_functional_transforms() -> None:
    net, x = Stack(), batch(4, 5)
    named = dict(net.named_parameters())

    def loss(values: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(net, values, (x,)).square().sum()

    found = torch.func.grad(loss)(named)
    expected = gradients(net.by_hand(x), net)
    for one, other in zip((found[name] for name in named), expected, strict=True):
        assert torch.allclose(one, other, atol=1e-12)
    tangents = {name: torch.ones_like(parameter) for name, parameter in named.items()}
    _, moved = torch.func.jvp(loss, (named,), (tangents,))
    assert torch.allclose(moved, sum(each.sum() for each in expected))
    per_sample = torch.func.vmap(lambda row: net(row[None])[0])(x)
    assert torch.allclose(per_sample, net(x), atol=1e-12)


def test_other_tensors_in_the_slots_give_another_value_in_one_scope() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4))

        def forward(self, x: torch.Tensor, inner: bool = False) -> torch.Tensor:
            own = x @ self.weight
            if inner:
                return own
            name = "parametrizations.weight.0.T"
            other = torch.func.functional_call(self, {name: torch.zeros(4, 4)}, (x,), {"inner": True})
            return own + other

    module, shared = Twice(), nn.Parameter(torch.randn(4, 4))
    tie(module, "weight", turned(4, 4), shared)
    assert torch.allclose(module(torch.eye(4)), shared.t())


def test_autocast_leaves_the_value_alone_and_the_layer_casts_it() -> None:
    layer, shared = nn.Linear(8, 8, bias=False), nn.Parameter(torch.randn(3, 8, 8))
    mixing = nn.Parameter(torch.randn(3))
    tie(layer, "weight", mix((8, 8), "w"), mixing, shared)
    x = torch.randn(4, 8)
    exact = layer.weight.detach()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.weight, exact)
        output = layer(x)
    assert output.dtype == torch.bfloat16
    plain = nn.Linear(8, 8, bias=False)
    plain.weight = nn.Parameter(exact)
    with torch.autocast("cpu", torch.bfloat16):
        expected = plain(x)
    assert torch.equal(output, expected)
    output.sum().backward()
    expected.sum().backward()
    assert torch.allclose(mixing.grad, torch.einsum("ij,kij->k", plain.weight.grad, shared), atol=1e-4)
    assert mixing.grad.dtype == torch.float32


def test_what_a_layer_saves_under_autocast_is_computed_again_too() -> None:
    layer, shared = nn.Linear(64, 64, bias=False), nn.Parameter(torch.randn(3, 64, 64))
    tie(layer, "weight", mix((64, 64), "w"), nn.Parameter(torch.randn(3)), shared)
    x = torch.randn(1, 64, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x)
        assert held_bytes(lambda: layer(x)) < 64 * 64


def test_modes_do_not_mix() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                scale = self.weight.norm()
            return x @ self.weight / scale

    module, shared = Both(), nn.Parameter(torch.randn(4, 4))
    tie(module, "weight", turned(4, 4), shared)
    module(torch.randn(2, 4)).sum().backward()
    assert shared.grad is not None
    with torch.inference_mode():
        assert module(torch.randn(2, 4)).is_inference()
    module(torch.randn(2, 4)).sum().backward()


def test_nothing_outlives_a_forward_that_fails() -> None:
    net = Stack()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        net(batch(4, 3))
    x = batch(4, 5)
    with torch.no_grad():
        before = net(x)
        net.templates.data.mul_(2)  # no version is raised
        assert not torch.allclose(net(x), before)
    assert torch._C._autograd._top_saved_tensors_default_hooks(False) is None


def test_threads() -> None:
    net, x, faults = Stack(depth=2), batch(4, 5), list[BaseException]()
    expected = gradients(net.by_hand(x), net)

    def run(number: int) -> None:
        try:
            for _ in range(20):
                with torch.set_grad_enabled(number % 2 == 0):
                    output = net(x)
                if number % 2 == 0:
                    for one, other in zip(gradients(output, net), expected, strict=True):
                        assert torch.allclose(one, other, atol=1e-12)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def attention_layer(training: bool) -> tuple[nn.TransformerEncoderLayer, nn.TransformerEncoderLayer]:
    """An encoder layer with four computed weights, and the same layer with their values."""
    plain = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    layer = copy.deepcopy(plain)
    for module, name in (
        (layer.self_attn, "in_proj_weight"), (layer.self_attn.out_proj, "weight"),
        (layer.linear1, "weight"), (layer.linear2, "weight"), (layer.norm1, "weight"),
    ):  # fmt: skip
        held = getattr(module, name)
        shared = nn.Parameter(held.detach() / 2)
        expression = Sum(tuple(held.shape), (Read(tuple(held.shape), T), Read(tuple(held.shape), T)), (1, 1))
        tie(module, name, expression, shared)
    install_readers(layer)
    return layer.train(training), plain.train(training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_encoder_layer_reads_each_value_once(training: bool, grad: bool) -> None:
    layer, plain = attention_layer(training)
    x = torch.randn(3, 5, 8)
    with torch.set_grad_enabled(grad):
        layer(x)
        with counted() as calls:
            output = layer(x)
        assert torch.allclose(output, plain(x), atol=1e-6)
    assert len(calls) == len(set(calls)) == 5
    if grad:
        output.square().sum().backward()
        plain(x).square().sum().backward()
        shared = layer.self_attn.parametrizations["in_proj_weight"][0].T
        assert torch.allclose(shared.grad, 2 * plain.self_attn.in_proj_weight.grad, atol=1e-4)


def test_fast_path_stays_on(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, plain = attention_layer(False)
    taken: list[int] = []
    fast = torch._transformer_encoder_layer_fwd
    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", lambda *a: (taken.append(1), fast(*a))[1])
    x = torch.randn(3, 5, 8)
    with torch.no_grad():
        assert torch.allclose(layer(x), plain(x), atol=1e-6)
    assert taken == [1, 1]


def test_whole_encoder_reads_each_value_once() -> None:
    layer, _ = attention_layer(False)
    encoder = nn.TransformerEncoder(layer, 3).eval()
    install_readers(encoder)
    x, mask = torch.randn(3, 5, 8), torch.zeros(3, 5, dtype=torch.bool)
    mask[0, 3:] = True
    sites = list(computed_sites(encoder))
    assert len(sites) == 15
    with torch.no_grad(), counted() as calls:
        encoder(x, src_key_padding_mask=mask)
    assert len(calls) == len(set(calls)) == 15


def test_saved_values_of_attention_are_computed_again() -> None:
    attention = nn.MultiheadAttention(16, 2, bias=False)
    shared = nn.Parameter(torch.randn(3, 16, 16))
    tie(attention.out_proj, "weight", mix((16, 16), "o"), nn.Parameter(torch.randn(3)), shared)
    install_readers(attention)
    x = torch.randn(3, 1, 16)
    attention(x, x, x, need_weights=False)
    with counted() as calls:
        output = attention(x, x, x, need_weights=False)[0]
        output.sum().backward()
    assert len(calls) == 2  # forward, and for the backward pass


@pytest.mark.parametrize(
    ("layer", "name", "shape"),
    [
        (nn.Embedding(7, 4), "weight", None),
        (nn.Conv1d(3, 4, 2), "weight", (2, 3, 6)),
        (nn.Conv2d(3, 4, 2), "weight", (2, 3, 6, 6)),
        (nn.LayerNorm(6), "weight", (2, 6)),
    ],
)
def test_other_layers(layer: nn.Module, name: str, shape: tuple[int, ...] | None) -> None:
    plain = copy.deepcopy(layer)
    held = getattr(layer, name)
    site = tuple(held.shape)
    shared = nn.Parameter(held.detach() / 2)
    tie(layer, name, Sum(site, (Read(site, T), Read(site, T)), (1, 1)), shared)
    x = torch.randint(7, (2, 3)) if shape is None else torch.randn(*shape)
    output, expected = layer(x), plain(x)
    assert torch.allclose(output, expected, atol=1e-6)
    output.square().sum().backward()
    expected.square().sum().backward()
    assert torch.allclose(shared.grad, 2 * getattr(plain, name).grad, atol=1e-4)


def test_factors_scale_the_gradient_and_nothing_else() -> None:
    layer, shared = nn.Linear(4, 3, bias=False), nn.Parameter(torch.randn(4, 3))
    value = tie(layer, "weight", turned(3, 4), shared)
    x = torch.randn(2, 4)
    expected = layer(x)
    for factor in (0.25, 0.0, 1.0):
        value.factors = (factor,)
        output = layer(x)
        assert torch.equal(output, expected)
        if factor:
            grad = torch.autograd.grad(output.sum(), shared)[0]
            assert torch.allclose(grad, factor * x.sum(0)[:, None].expand(4, 3))
        else:
            assert not output.requires_grad
    assert isinstance(value, SiteValue)
