"""Expressions to programs: numbers, signs, operators, slots, and the order in which what is read is numbered."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from lightning_tying.algebra.expand import expand
from lightning_tying.algebra.expression import (
    Call,
    Constant,
    Expression,
    MatrixProduct,
    Own,
    ParameterName,
    Product,
    Read,
    Sum,
)
from lightning_tying.algebra.primitives.node import Inputs
from lightning_tying.algebra.primitives.number import Number
from lightning_tying.algebra.primitives.ref import Ref

M = (3, 3)
W, V, S = ParameterName("W"), ParameterName("V", (2,)), ParameterName("s")
READS = {W: M, V: M, S: ()}


def read(name: ParameterName) -> Read:
    return Read(READS[name], name)


def compute(expression: Expression) -> tuple[torch.Tensor, dict[ParameterName, torch.Tensor]]:
    names = expression.parameters
    values = {name: torch.randn(READS[name], dtype=torch.float64) for name in names}
    node = expand(expression, {name: slot for slot, name in enumerate(names)})
    return node.forward(Inputs(list(values.values()))), values


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_sum():
    found, values = compute(Sum(M, (read(W), Constant((), 2), read(V), read(S)), (-1, 1, -1, 1)))
    close(found, -values[W] + 2 - values[V] + values[S])


def test_product_and_quotient():
    found, values = compute(Product(M, (Constant((), 2), read(W), read(S), read(V), Constant((), 0.25))))
    close(found, 0.5 * values[W] * values[V] * values[S])


def test_numbers_times_a_number_stay_numbers():
    found, values = compute(Sum(M, (read(W), Product((), (Constant((), 2), Constant((), 3)))), (1, -1)))
    close(found, values[W] - 6)
    assert isinstance(expand(Sum((), (Constant((), 2), Constant((), 3)), (1, -1)), {}), Number)


def test_matrix_product_of_a_product():
    found, values = compute(MatrixProduct(M, Product(M, (read(W), read(W))), read(V)))
    close(found, (values[W] ** 2) @ values[V])


def test_what_is_left_out_when_nothing_is_computed():
    slots = {W: 0}
    assert isinstance(expand(read(W), slots), Ref)
    assert isinstance(expand(Sum(M, (read(W), Constant((), 0)), (1, 1)), slots), Ref)
    assert isinstance(expand(Product(M, (read(W), Constant((), 1))), slots), Ref)


def test_a_number_is_an_argument():
    expression = Sum(M, (read(W), Call((), "tanh", (Constant((), 0.5),))), (1, 1))
    found, values = compute(expression)
    close(found, values[W] + torch.tensor(0.5, dtype=torch.float64).tanh())


def low_rank(name: str) -> Call:
    own = tuple(Own(part, ParameterName(f"{name}.{part}", (1,)), (2, 3) if part == "A" else (3, 2)) for part in "AB")
    return Call(M, "low_rank", (), (("r", 2),), own)


def test_a_call_reads_its_own_slots():
    expression = Sum(M, (low_rank("low_rank"), Call(M, "t", (read(W),)), low_rank("low_rank2")), (1, 1, 1))
    names = expression.parameters
    assert [str(name) for name in names] == [
        "low_rank.A[1]", "low_rank.B[1]", "W", "low_rank2.A[1]", "low_rank2.B[1]",
    ]  # fmt: skip
    shapes = [(2, 3), (3, 2), M, (2, 3), (3, 2)]
    values = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    slots = {name: 4 - place for place, name in enumerate(names)}
    node = expand(expression, slots)
    a, b, w, c, d = values
    for program in (node, copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        close(program.forward(Inputs(values[::-1])), b @ a + w.T + d @ c)


def test_programs_compile_to_one_graph():
    expression = Sum(M, (Product(M, (read(W), Constant((), 2))), low_rank("low_rank")), (1, -1))
    node = expand(expression, {name: slot for slot, name in enumerate(expression.parameters)})
    values = [torch.randn(shape, requires_grad=True) for shape in (M, (2, 3), (3, 2))]
    compiled = torch.compile(lambda *slots: node.forward(Inputs(slots)), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(*values), node.forward(Inputs(values)))


def test_something_else_is_no_expression():
    with pytest.raises(TypeError, match="Expression is no expression of the language"):
        expand(Expression(()), {})
