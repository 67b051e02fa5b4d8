"""Sums and functions of a closed list: value, gradient, fit, and what autograd's other modes make of them."""

from __future__ import annotations

import pickle

import pytest
import torch

from lightning_tying.algebra.primitives.add import Add
from lightning_tying.algebra.primitives.drop import Drop
from lightning_tying.algebra.primitives.gradients import scale_gradient
from lightning_tying.algebra.primitives.node import Inputs
from lightning_tying.algebra.primitives.pointwise import Pointwise
from lightning_tying.algebra.primitives.ref import Ref

CASES = [
    ("tanh", {}, torch.tanh),
    ("sigmoid", {}, torch.sigmoid),
    ("exp", {}, torch.exp),
    ("softmax", {"dim": 0}, lambda x: x.exp() / x.exp().sum(0, keepdim=True)),
    ("normalize", {"dim": 0}, lambda x: torch.stack([row / row.norm() for row in x])),
    ("normalize", {"dim": -1}, lambda x: torch.stack([column / column.norm() for column in x.T], 1)),
    ("times", {"number": -2.5}, lambda x: -2.5 * x),
    ("stop", {}, lambda x: x),
    ("scale_grad", {"factor": 0.25}, lambda x: x),
]


def double(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize(("function", "options", "plain"), CASES)
def test_values(function, options, plain):
    value = double(4, 3)
    node = pickle.loads(pickle.dumps(Pointwise(function, Ref((4, 3), 0), **options)))
    torch.testing.assert_close(node.forward(Inputs([value])), plain(value), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("function", "options"), [case[:2] for case in CASES if case[0] not in ("stop", "scale_grad")])
def test_gradients(function, options):
    node = Pointwise(function, Ref((3, 2), 0), **options)
    value = double(3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: node.forward(Inputs([x])), value)
    assert torch.autograd.gradgradcheck(lambda x: node.forward(Inputs([x])), value)


def test_the_largest_are_kept():
    node = Pointwise("top", Ref((2, 4), 0), count=2, fill=0.0)
    value = node.forward(Inputs([torch.tensor([[1.0, -5.0, 3.0, 2.0], [4.0, 4.5, -1.0, 0.0]])]))
    assert value.tolist() == [[0.0, 0.0, 3.0, 2.0], [4.0, 4.5, 0.0, 0.0]]


def test_a_slice_of_zeros_is_not_divided():
    value = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    found = Pointwise("normalize", Ref((2, 3), 0), dim=0).forward(Inputs([value]))
    found.sum().backward()
    assert found.tolist() == [[0.0] * 3] * 2
    assert value.grad.isfinite().all()


def test_the_gradient_is_scaled_in_every_mode():
    value = double(3).requires_grad_()
    (first,) = torch.autograd.grad((scale_gradient(value, 0.5) ** 3).sum(), value, create_graph=True)
    torch.testing.assert_close(first, 1.5 * value**2)
    (second,) = torch.autograd.grad(first.sum(), value)
    torch.testing.assert_close(second, 0.5 * 6 * value * 0.5 + (3 - 0.5 * 3) * 0 * value)
    plain = value.detach()
    torch.testing.assert_close(torch.func.grad(lambda x: (scale_gradient(x, 0.5) ** 2).sum())(plain), plain)
    batch = torch.func.vmap(torch.func.grad(lambda x: scale_gradient(x, 0.5) ** 2))(plain)
    torch.testing.assert_close(batch, plain)
    _, tangent = torch.func.jvp(lambda x: scale_gradient(x, 0.5), (plain,), (torch.ones_like(plain),))
    torch.testing.assert_close(tangent, torch.full_like(plain, 0.5))


def test_nothing_or_all_of_the_gradient_costs_nothing():
    value = double(2).requires_grad_()
    assert scale_gradient(value, 1) is value
    assert not scale_gradient(value, 0).requires_grad


@pytest.mark.parametrize("function", ["stop", "scale_grad"])
def test_it_compiles_to_one_graph(function):
    node = Pointwise(function, Ref((3,), 0), **({"factor": 0.5} if function == "scale_grad" else {}))
    value, other = double(3).requires_grad_(), double(3).requires_grad_()

    def compute(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (node.forward(Inputs([x])) * x * y).sum()

    compiled = torch.compile(compute, backend="aot_eager", fullgraph=True)
    wanted = torch.autograd.grad(compute(value, other), [value, other])
    found = torch.autograd.grad(compiled(value, other), [value, other])
    torch.testing.assert_close(found, wanted)


def test_fits_pass_on_or_divide():
    target = double(2, 2)
    fits = {
        function: Pointwise(function, Ref((2, 2), 0), **options).fit(target, [None])[0]
        for function, options, _ in CASES
    }
    assert all(fits[function] is target for function in ("normalize", "stop", "scale_grad"))
    assert all(fits[function] is None for function in ("tanh", "sigmoid", "exp", "softmax"))
    torch.testing.assert_close(fits["times"], target / -2.5)
    assert Pointwise("times", Ref((2, 2), 0), number=0).fit(target, [None])[0].eq(0).all()


def test_sum_with_signs_and_a_number():
    node = Add((2, 3), [Ref((2, 3), 0), Ref((), 1), Ref((2, 3), 2)], [-1, 1, -1], 0.5)
    a, b, c = double(2, 3), double(), double(2, 3)
    torch.testing.assert_close(node.forward(Inputs([a, b, c])), -a + b - c + 0.5)
    target = double(2, 3)
    fitted = node.fit(target, [None, b, None])
    torch.testing.assert_close(fitted[0], -(target - 0.5 - b))
    assert fitted[1] is None
    torch.testing.assert_close(fitted[2], -(target - 0.5 - b))
    torch.testing.assert_close(node.fit(target, [a, None, c])[1], (target - 0.5 + a + c).mean())


def test_dropout_is_drawn_in_training_only():
    node = Drop(Ref((1000,), 0), 0.25)
    value = torch.ones(1000)
    assert torch.equal(node.forward(Inputs([value])), value)
    drawn = node.forward(Inputs([value], training=True))
    assert set(drawn.unique().tolist()) <= {0.0, torch.tensor(1 / 0.75).item()}
    assert 150 < int((drawn == 0).sum()) < 350
    assert node.is_random
    assert Add((1000,), [node], [1]).is_random
    assert not Drop(Ref((1,), 0), 0).is_random
