"""`low_rank` added to the output of a linear layer where that is cheaper."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from lightning_tying.algebra.expression import Constant, Expression, Product, Read, Sum
from lightning_tying.lowering.runtime.output_side import count_output_side, count_weight_side
from lightning_tying.lowering.runtime.output_terms import split_value
from tests.derived import T, counted, low_rank, mix, tie

SHAPE = (7, 9)


def expressions() -> dict[str, Expression]:
    base, one, two = Read(SHAPE, T), low_rank(SHAPE, 2, "one"), low_rank(SHAPE, 1, "two")
    return {
        "one": Sum(SHAPE, (base, one), (1, 1)),
        "alone": one,
        "minus": Sum(SHAPE, (base, one), (1, -1)),
        "two": Sum(SHAPE, (Sum(SHAPE, (one, base), (1, 1)), two), (1, 1)),
        "twice": Sum(SHAPE, (base, Product(SHAPE, (Constant((), 0.5), one))), (1, 1)),
        "mixed": Sum(SHAPE, (mix(SHAPE, "w"), one), (1, 1)),
        "negative base": Sum(SHAPE, (base, one), (-1, 1)),
        "number": Sum(SHAPE, (base, Constant((), 0.25), one), (1, 1, 1)),
    }


def build(expression: Expression, dtype: torch.dtype = torch.float64, frozen: bool = False) -> nn.Linear:
    generator = torch.Generator().manual_seed(3)
    sizes = {"T": SHAPE, "mix.a[w]": (3,)}
    sizes |= {f"low_rank.A[{key}]": (rank, 9) for key, rank in (("one", 2), ("two", 1))}
    sizes |= {f"low_rank.B[{key}]": (7, rank) for key, rank in (("one", 2), ("two", 1))}
    if any(str(name).startswith("mix") for name in expression.parameters):
        sizes["T"] = (3, *SHAPE)  # type: ignore[assignment]
    parameters = [
        nn.Parameter(
            torch.randn(sizes[str(name)], generator=generator, dtype=dtype),
            requires_grad=not (frozen and str(name) == "T"),
        )
        for name in expression.parameters
    ]
    layer = nn.Linear(9, 7, dtype=dtype)
    tie(layer, "weight", expression, *parameters)
    return layer


@pytest.mark.parametrize("name", expressions())
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("frozen", [False, True])
def test_both_sides_are_equal(name: str, dtype: torch.dtype, near: float, frozen: bool) -> None:
    layer = build(expressions()[name], dtype, frozen)
    x = torch.randn(1, 2, 9, dtype=dtype, generator=torch.Generator().manual_seed(4)).requires_grad_()
    layer(x)  # the first call also looks at what the graph of the base saves
    with counted() as calls:
        output = layer(x)
    assert len(calls) <= (name in ("mixed", "negative base", "number"))  # at most the base is made
    expected = x @ layer.weight.mT + layer.bias
    assert torch.allclose(output, expected, atol=near)
    wanted = [x, *(parameter for parameter in layer.parameters() if parameter.requires_grad)]
    grads = (torch.autograd.grad(each.square().sum(), wanted) for each in (output, expected))
    for one, other in zip(*grads, strict=True):
        assert torch.allclose(one, other, atol=20 * near, rtol=1e-4 if dtype == torch.float32 else 1e-9)


def test_many_rows_take_the_weight_side_unless_the_base_is_frozen() -> None:
    for rows, trains, evaluations in ((500, True, 1), (3, True, 0), (500, False, 0)):
        layer, shape = nn.Linear(32, 32), (32, 32)
        base = nn.Parameter(torch.randn(shape), requires_grad=trains)
        own = nn.Parameter(torch.randn(2, 32)), nn.Parameter(torch.randn(32, 2))
        tie(layer, "weight", Sum(shape, (Read(shape, T), low_rank(shape, 2)), (1, 1)), base, *own)
        x = torch.randn(rows, 32)
        layer(x)
        with counted() as calls:
            layer(x)
        assert len(calls) == evaluations


def test_subclasses_and_products_stay_on_the_weight_side() -> None:
    class Custom(nn.Linear):
        pass

    layer = Custom(9, 7)
    tie(layer, "weight", low_rank(SHAPE, 2), nn.Parameter(torch.randn(2, 9)), nn.Parameter(torch.randn(7, 2)))
    with torch.no_grad(), counted() as calls:
        layer(torch.randn(1, 9))
    assert len(calls) == 1
    one = low_rank(SHAPE, 2)
    assert split_value(Product(SHAPE, (Read(SHAPE, T), one))) is None
    assert split_value(Read(SHAPE, T)) is None
    assert split_value(low_rank((7, 3, 3), 2)) is None


def test_the_count_is_of_multiply_adds() -> None:
    split = split_value(expressions()["one"])
    assert split is not None
    rows, rank, cells, sides = 5, 2, 63, 16
    assert count_weight_side(split, rows, False) == rank * cells + rows * cells
    assert count_output_side(split, rows, False, False) == rows * rank * sides + rows * cells
    assert count_weight_side(split, rows, True) == 4 * rank * cells + 2 * rows * cells
    assert count_output_side(split, rows, True, True) == 3 * rows * rank * sides + 2 * rows * cells
    assert count_output_side(split, rows, True, False) == 3 * rows * rank * sides + rows * cells


def test_conv1d_of_transformers() -> None:
    conv1d = pytest.importorskip("transformers.pytorch_utils").Conv1D
    for rows, trains in itertools.product((1, 50), (False, True)):
        layer = conv1d(9, 7).double()  # 7 inputs, 9 outputs: the weight is [7, 9]
        base = nn.Parameter(layer.weight.detach().clone(), requires_grad=trains)
        own = nn.Parameter(torch.randn(2, 9).double()), nn.Parameter(torch.randn(7, 2).double())
        tie(layer, "weight", Sum(SHAPE, (Read(SHAPE, T), low_rank(SHAPE, 2)), (1, 1)), base, *own)
        nn.init.normal_(layer.bias)
        x = torch.randn(rows, 7).double()
        output, expected = layer(x), x @ (base + own[1] @ own[0]) + layer.bias
        assert torch.allclose(output, expected, atol=1e-12)
        grads = (torch.autograd.grad(each.square().sum(), [*own, layer.bias]) for each in (output, expected))
        for one, other in zip(*grads, strict=True):
            assert torch.allclose(one, other, atol=1e-10)


def test_the_weight_read_from_outside_is_whole() -> None:
    layer = build(expressions()["one"])
    value = layer.parametrizations["weight"][0]
    assert torch.allclose(layer.weight, value.T + value.low_rank_B @ value.low_rank_A)
