"""What is caught, under which name, and that catching leaves no trace: not in a loss, a gradient or a module."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.modules import module as torch_module
from torch.utils.checkpoint import checkpoint

from lightning_tying import tie
from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ConfigError
from lightning_tying.gradients.catch import catch_uses, scale_uses
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks import ExactSink, StreamingSink
from lightning_tying.models import DecoderLM

CYCLE = {"share": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name, cycle(l, 2)]"]}
MATRICES = {"sites": "layers.{l}.{name*}", "where": "ndim == 2"}
DELTA = {"share": [{**MATRICES, "equals": "block[name] + low_rank(2)"}, "head.weight = E", "embed.weight = tanh(E)"]}


def language_model(spec: dict[str, Any] = CYCLE) -> DecoderLM:
    torch.manual_seed(0)
    net = DecoderLM(vocab_size=40, dim=16, depth=4, heads=2)
    tie(net, spec)
    return net


def run(net: nn.Module) -> Tensor:
    tokens = torch.randint(40, (3, 9), generator=torch.Generator().manual_seed(1))
    return functional.cross_entropy(net(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


def caught(net: nn.Module, step: Callable[[], object], **options: Any) -> ExactSink:
    """The gradients of one step; each group's must add up to `.grad`."""
    sink = ExactSink()
    net.zero_grad()
    with catch_uses(net, sink=sink, **options):
        step()
    return sink


def places(sink: ExactSink) -> dict[str, list[str]]:
    return {str(group): [str(key) for key in found.keys] for group, found in sink.finish().items()}


def check_sums(net: nn.Module, sink: ExactSink, tolerance: float = 1e-6) -> None:
    sums = sink.sums()
    assert sums
    for group, held in sink.gradients.items():
        first = next(iter(held)).place
        owner, _, name = first.rpartition(".")
        gradient = net.get_submodule(owner)._parameters[name].grad
        assert gradient is not None
        size = sum(float(each.norm()) for each in held.values())
        assert float((sums[group] - gradient).norm()) <= tolerance * size, group


class Pair(nn.Module):
    """Two attentions whose `out_proj` is read by the attention and never called."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = (nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x, x, x)[0]
        return self.b(x, x, x)[0]


class Functional(nn.Module):
    """Reads its embedding by itself, beside the embedding's own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(7, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        return functional.linear(self.emb(tokens), self.emb.weight)


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return 2 * x @ weight

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return 2 * grads[0] @ weight.t(), 2 * x.t() @ grads[0]


class Custom(nn.Module):
    """A function of its own, of which no torch function is told."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return _Double.apply(x, self.weight)


@pytest.mark.parametrize("spec", [CYCLE, DELTA], ids=["aliases", "derived"])
@pytest.mark.parametrize("recomputed", [False, True])
def test_losses_and_gradients_are_the_same_bit_for_bit(spec: dict[str, Any], recomputed: bool) -> None:
    results: list[list[Tensor]] = []
    for catching in (False, True):
        net = language_model(spec)
        if recomputed:
            make_recomputed(net)
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
        found: list[Tensor] = []
        for _ in range(3):
            optimizer.zero_grad()
            if catching:
                with catch_uses(net, sink=StreamingSink(sum_sketch=64, keep_sums=True)):
                    loss = run(net)
                    loss.backward()
            else:
                loss = run(net)
                loss.backward()
            found += [loss.detach(), *(each.grad.clone() for each in net.parameters() if each.grad is not None)]
            optimizer.step()
        results.append(found)
    assert len(results[0]) == len(results[1])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def make_recomputed(net: DecoderLM) -> None:
    for layer in net.layers:
        plain = layer.forward
        layer.forward = lambda *args, plain=plain, **options: checkpoint(plain, *args, use_reentrant=False, **options)


def test_activation_checkpointing_counts_no_read_twice() -> None:
    plain, recomputed = language_model(), language_model()
    make_recomputed(recomputed)
    sinks = [caught(net, lambda net=net: run(net).backward()) for net in (plain, recomputed)]
    assert places(sinks[0]) == places(sinks[1])
    for group, held in sinks[0].gradients.items():
        for key, gradient in held.items():
            assert torch.equal(gradient, sinks[1].gradients[group][key])


@pytest.mark.parametrize("spec", [CYCLE, DELTA], ids=["aliases", "derived"])
def test_nothing_is_left_afterwards(spec: dict[str, Any]) -> None:
    net = language_model(spec)
    before = {path: set(vars(part)) for path, part in net.named_modules()}
    ends = [torch.autograd.graph.get_gradient_edge(each).node for each in net.parameters()]
    sink = caught(net, lambda: run(net).backward())
    taken = copy.deepcopy(sink.gradients)
    run(net).backward()
    assert all(torch.equal(taken[g][k], sink.gradients[g][k]) for g in taken for k in taken[g])
    assert before == {path: set(vars(part)) for path, part in net.named_modules()}
    assert not torch_module._global_forward_hooks and not torch_module._global_forward_pre_hooks
    assert ends and torch.overrides._get_current_function_mode() is None


def test_an_error_in_the_forward_or_the_backward_pass_leaves_nothing() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tie(net, {"share": ["{l}.{name*} = W[name]"]})
    with pytest.raises(RuntimeError), catch_uses(net, sink=ExactSink()):
        net(torch.randn(2, 4))
    with pytest.raises(RuntimeError), catch_uses(net, sink=ExactSink()):
        net(torch.randn(2, 3)).backward()  # not a number
    assert not torch_module._global_forward_hooks and not torch_module._global_forward_pre_hooks
    assert torch.overrides._get_current_function_mode() is None
    sink = caught(net, lambda: net(torch.randn(2, 3)).sum().backward())
    check_sums(net, sink)


def test_attention_reads_the_weight_of_its_output_layer() -> None:
    net = Pair()
    tie(net, {"share": ["{l}.{name*} = W[name]"]})
    sink = caught(net, lambda: net(torch.randn(2, 5, 8)).square().sum().backward())
    found = places(sink)
    assert found["W[out_proj.weight]"] == ["a.out_proj.weight", "b.out_proj.weight"]
    assert found["W[in_proj_weight]"] == ["a.in_proj_weight", "b.in_proj_weight"]
    check_sums(net, sink)


def test_a_read_beside_the_owners_forward_is_a_use_of_its_own() -> None:
    net = Functional()
    sink = caught(
        net,
        lambda: functional.cross_entropy(net(torch.tensor([1, 2, 2])), torch.tensor([0, 1, 2])).backward(),
        groups=[ParameterName("emb.weight")],
    )
    assert places(sink) == {"emb.weight": ["emb.weight", "emb.weight (call 2)"]}
    check_sums(net, sink)


def test_a_read_that_belongs_to_no_site_is_called_by_its_reader() -> None:
    net = nn.ModuleDict({"a": nn.Linear(4, 4, bias=False), "b": nn.Linear(4, 4, bias=False)})
    tie(net, {"share": ["{l}.weight = W"]})
    x = torch.randn(2, 4)

    def step() -> None:
        functional.linear(net["b"](net["a"](x)), net["a"].weight).sum().backward()

    sink = caught(net, step)
    assert places(sink) == {"W": ["a.weight", "b.weight", "(read outside)"]}
    check_sums(net, sink)


def test_functions_of_their_own_are_seen() -> None:
    net = nn.Sequential(Custom(), Custom())
    tie(net, {"share": ["{l}.weight = W"]})
    sink = caught(net, lambda: net(torch.randn(2, 4)).sum().backward())
    assert places(sink) == {"W": ["0.weight", "1.weight"]}
    check_sums(net, sink)


def test_two_backward_passes_are_added_up() -> None:
    net = language_model()
    halves = caught(net, lambda: [run(net).backward(), (3 * run(net)).backward()])
    together = caught(net, lambda: (4 * run(net)).backward())
    check_sums(net, together)
    for group, held in together.gradients.items():
        for key, gradient in held.items():
            torch.testing.assert_close(halves.gradients[group][key], gradient, rtol=1e-4, atol=1e-6)


def test_streaming_adds_the_squares_of_micro_batches() -> None:
    net = language_model()
    once, twice = StreamingSink(), StreamingSink()
    with catch_uses(net, sink=once):
        run(net).backward()
    with catch_uses(net, sink=twice):
        run(net).backward()
        (-run(net)).backward()
    doubled = twice.finish()
    for group, found in once.finish().items():
        other = doubled[group]
        torch.testing.assert_close(torch.tensor(other.norms), torch.tensor(found.norms) * 2**0.5)
        assert other.sum_norm == pytest.approx(found.sum_norm * 2**0.5)


def test_one_graph_and_two_backward_passes() -> None:
    net = language_model()

    def step() -> None:
        loss = run(net)
        loss.backward(retain_graph=True)
        torch.autograd.backward([loss])

    check_sums(net, caught(net, step))


def test_gradients_that_no_parameter_gets_are_not_counted() -> None:
    net = language_model()
    sink = ExactSink()
    with catch_uses(net, sink=sink):
        torch.autograd.grad(run(net), list(net.parameters()), allow_unused=True)
        loss = run(net)
        loss.backward(inputs=[net.layers[0].mlp.up.weight])
    assert places(sink) == {"block[mlp.up.weight, 0]": ["layers.0.mlp.up.weight", "layers.2.mlp.up.weight"]}


def test_gradients_of_gradients() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    tie(net, {"share": ["{l}.{name*} = W[name]"]})
    x = torch.randn(2, 3, requires_grad=True)

    def step() -> None:
        out = net(x).square().sum()
        (slope,) = torch.autograd.grad(out, [x], create_graph=True)
        (out + slope.square().sum()).backward()

    check_sums(net, caught(net, step))


@pytest.mark.parametrize("cached", [False, True])
def test_autocast(cached: bool) -> None:
    """With the cache of casts on, one cast serves all reads; they are still told apart, in bfloat16."""
    net = language_model()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=cached):
            loss = run(net)
        loss.backward()

    sink = caught(net, step)
    assert places(sink)["block[attn.q.weight, 0]"] == ["layers.0.attn.q.weight", "layers.2.attn.q.weight"]
    dtypes = {gradient.dtype for held in sink.gradients.values() for gradient in held.values()}
    assert torch.float32 in dtypes if cached else dtypes == {torch.float32}
    check_sums(net, sink, 1e-2 if cached else 1e-6)


def test_the_scale_of_a_loss_is_taken_out() -> None:
    net = language_model()
    plain, scaled = StreamingSink(sum_sketch=64), StreamingSink(sum_sketch=64)
    with catch_uses(net, sink=plain):
        run(net).backward()
    with catch_uses(net, sink=scaled):
        (1024 * run(net)).backward()
    unscaled = scaled.finish(scale=1024)
    for group, found in plain.finish().items():
        other = unscaled[group]
        torch.testing.assert_close(torch.tensor(other.norms), torch.tensor(found.norms))
        assert other.sum_norm == pytest.approx(found.sum_norm, rel=1e-5)
        torch.testing.assert_close(other.sum_sketch, found.sum_sketch)


def test_the_first_use_with_a_nan_is_named() -> None:
    net = nn.Sequential(*(nn.Linear(3, 3) for _ in range(4)))
    tie(net, {"share": ["{l}.{name*} = W[name]"]})
    net[1].register_full_backward_hook(lambda _module, grads, _out: (grads[0] * float("nan"),))
    sink = caught(net, lambda: net(torch.randn(2, 3)).sum().backward())
    found = sink.finish()[ParameterName("W", ("weight",))]
    assert not found.finite
    assert found.first_nonfinite == UseKey(ParameterName("W", ("weight",)), "0.weight")


def test_frozen_groups_and_detached_uses_have_none() -> None:
    net = language_model()
    net.embed.weight.requires_grad_(False)
    found = places(caught(net, lambda: run(net).backward()))
    assert found and not any("embed" in name or "head" in name for name in found)
    net = nn.Sequential(*(nn.Linear(3, 3, bias=False) for _ in range(3)))
    tie(net, {"share": [{"sites": "{l}.weight", "equals": "W", "grad": "owner"}]})
    sink = caught(net, lambda: net(torch.randn(2, 3)).sum().backward(), groups=[ParameterName("W")])
    assert len(places(sink)["W"]) == 1


def test_groups_are_chosen_by_name() -> None:
    net = language_model()
    name = ParameterName("block", ("mlp.up.weight", 1))
    assert list(caught(net, lambda: run(net).backward(), groups=[name]).finish()) == [name]
    with pytest.raises(ConfigError, match=r"No sharing group is called nothing\. .*block\[mlp.up.weight, 1\]"):
        caught(net, lambda: None, groups=[ParameterName("nothing")])
    assert caught(nn.Linear(3, 3), lambda: None).finish() == {}


def test_ties_that_nobody_wrote_down_and_tied_modules_inside() -> None:
    by_hand = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    by_hand[1].weight = by_hand[0].weight
    sink = caught(by_hand, lambda: by_hand(torch.randn(2, 3)).sum().backward())
    assert places(sink) == {"0.weight": ["0.weight", "1.weight"]}
    outer = nn.ModuleDict({"left": nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))})
    outer["right"] = copy.deepcopy(outer["left"])
    for part in outer.values():
        tie(part, {"share": ["{l}.{name*} = W[name]"]})
    x = torch.randn(2, 3)
    sink = caught(outer, lambda: (outer["left"](x) + outer["right"](x)).sum().backward())
    assert places(sink)["W[weight]"] == ["left.0.weight", "left.1.weight"]
    assert places(sink)["right.W[weight]"] == ["right.0.weight", "right.1.weight"]


def test_a_forward_with_other_tensors_in_the_places() -> None:
    net = language_model()
    others = {name: nn.Parameter(each.detach() * 2) for name, each in net.named_parameters()}
    tokens = torch.randint(40, (2, 6))
    sink = caught(net, lambda: functional_call(net, others, (tokens,)).sum().backward())
    total = sink.sums()[ParameterName("block", ("mlp.up.weight", 0))]
    torch.testing.assert_close(total, others["layers.0.mlp.up.weight"].grad)


def test_a_compiled_module_runs_as_written() -> None:
    net = language_model()
    compiled = torch.compile(net, backend="eager")
    sink = caught(compiled, lambda: run(compiled).backward())
    assert places(sink)["block[attn.q.weight, 0]"] == ["layers.0.attn.q.weight", "layers.2.attn.q.weight"]
    check_sums(net, sink)


def test_uses_are_scaled_one_by_one() -> None:
    net = language_model()
    sink = caught(net, lambda: run(net).backward())
    net.zero_grad()
    with scale_uses(net, lambda key: 0.25 if key.place == "embed.weight" else 1.0):
        run(net).backward()
    for held in sink.gradients.values():
        expected = sum(gradient * (0.25 if key.place == "embed.weight" else 1.0) for key, gradient in held.items())
        owner, _, name = next(iter(held)).place.rpartition(".")
        torch.testing.assert_close(net.get_submodule(owner)._parameters[name].grad, expected, rtol=1e-5, atol=1e-7)


def test_streaming_holds_no_copy() -> None:
    """What a sampled step keeps of the gradients: a few numbers for each use."""
    net = language_model()
    sink = StreamingSink()
    with catch_uses(net, sink=sink):
        run(net).backward()
    held = [each for each in vars(sink).values() if isinstance(each, dict)]
    numbers = sum(leaf.numel() for each in held for leaf in each.values() if isinstance(leaf, Tensor))
    assert 0 < numbers < 200
