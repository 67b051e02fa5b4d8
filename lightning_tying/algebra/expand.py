"""An expression of whole shapes and the numbers of its slots in; the program of primitives that computes it out."""

from __future__ import annotations

from collections.abc import Mapping

from lightning_tying.algebra.expression import (
    Call,
    Constant,
    Expression,
    MatrixProduct,
    ParameterName,
    Product,
    Read,
    Sum,
)
from lightning_tying.algebra.partial_shapes import Shapes
from lightning_tying.algebra.primitives.add import Add
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.number import Number
from lightning_tying.algebra.primitives.pointwise import Pointwise
from lightning_tying.algebra.primitives.ref import Ref
from lightning_tying.algebra.registry import make_transform

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def expand(expression: Expression, slots: Mapping[ParameterName, int]) -> Node:
    """The program of a site.

    Args:
        expression: with whole shapes; a number has the shape `()` and is broadcast.
        slots: the number of the slot of each parameter that it reads.

    Raises:
        Mistake: 41, 43, 44: a function cannot be found, or is called with arguments that it does not take.
    """
    match expression:
        case Read():
            return Ref(expression.shape, slots[expression.parameter])
        case Constant():
            return Number(expression.number)
        case Sum():
            return _expand_sum(expression, slots)
        case Product():
            return _expand_product(expression, slots)
        case MatrixProduct():
            return Einsum("ab,bc->ac", (expand(expression.left, slots), expand(expression.right, slots)))
        case Call():
            return _expand_call(expression, slots)
        case _:
            raise TypeError(f"{type(expression).__name__} is no expression of the language.")


def _expand_sum(expression: Sum, slots: Mapping[ParameterName, int]) -> Node:
    """Numbers are added up beforehand; a sum of one tensor without a sign is the tensor."""
    number, terms, signs = 0.0, list[Node](), list[int]()
    for term, sign in zip(expression.terms, expression.signs, strict=True):
        node = expand(term, slots)
        if isinstance(node, Number):
            number += sign * node.number
        else:
            terms.append(node)
            signs.append(sign)
    if not terms:
        return Number(number)
    if signs == [1] and not number:
        return terms[0]
    return Add(_broadcast(terms), terms, signs, number)


def _expand_product(expression: Product, slots: Mapping[ParameterName, int]) -> Node:
    """Tensors cell by cell, numbers multiplied beforehand."""
    number, factors = 1.0, list[Node]()
    for factor in expression.factors:
        node = expand(factor, slots)
        if isinstance(node, Number):
            number *= node.number
        else:
            factors.append(node)
    if not factors:
        return Number(number)
    product = factors[0] if len(factors) == 1 else _multiply(factors)
    return product if number == 1 else Pointwise("times", product, number=number)


def _multiply(factors: list[Node]) -> Node:
    letters = _LETTERS[: len(_broadcast(factors))]
    terms = ",".join(letters if factor.shape else "" for factor in factors)
    return Einsum(f"{terms}->{letters}", factors)


def _broadcast(nodes: list[Node]) -> tuple[int, ...]:
    """The shape of a sum or product: all operands have it but the numbers."""
    return next((node.shape for node in nodes if node.shape), ())


def _expand_call(expression: Call, slots: Mapping[ParameterName, int]) -> Node:
    operands = [expand(operand, slots) for operand in expression.operands]
    own = [Ref(own.shape, slots[own.parameter]) for own in expression.own]
    shapes = Shapes(
        expression.shape,
        tuple(operand.shape for operand in expression.operands),
        tuple(own.shape for own in expression.own),
    )
    return make_transform(expression).expand(operands, own, shapes, expression.key)
