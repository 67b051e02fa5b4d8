"""What a derived site reads and the dimension along which its value is cut in; the cuts of what it reads out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

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
    Shape,
    Sum,
)

Cut: TypeAlias = int | None
"""The dimension that is divided over the processes; None for a tensor that every process holds whole."""


@dataclass(frozen=True)
class LocalValue:
    """How one process computes its part of a value from its parts of the shared parameters.

    Args:
        expression: with the shapes of the parts.
        cuts: for every parameter that it reads.
    """

    expression: Expression
    cuts: Mapping[ParameterName, Cut]


class CannotCut(Exception):
    """A part of the value needs more than parts of what it reads; the text says of which function."""


def cut_value(expression: Expression, cut: Cut, size: int) -> LocalValue:
    """Let every process compute its part of a value.

    Args:
        expression: of whole shapes.
        cut: of its value.
        size: the number of processes.

    Raises:
        CannotCut: a function mixes the cells of different parts, sizes do not divide, or one parameter would have
            to be cut in two ways.
    """
    cuts: dict[ParameterName, Cut] = {}
    local = _cut(expression, cut, size, cuts)
    return LocalValue(local, cuts)


def is_random(expression: Expression) -> bool:
    """Whether two evaluations differ (dropout), so that the processes would draw different values."""
    slots = {name: number for number, name in enumerate(expression.parameters)}
    return expand(expression, slots).is_random


def divide(shape: Shape, cut: Cut, size: int) -> Shape:
    """The shape of one part.

    Raises:
        CannotCut: the size does not divide.
    """
    if cut is None:
        return shape
    if shape[cut] % size:
        raise CannotCut(f"{list(shape)} is not divisible by {size} along dimension {cut}")
    return (*shape[:cut], shape[cut] // size, *shape[cut + 1 :])


def _cut(expression: Expression, cut: Cut, size: int, cuts: dict[ParameterName, Cut]) -> Expression:
    shape = divide(expression.shape, cut, size)
    match expression:
        case Read():
            _note(expression.parameter, cut, cuts)
            return replace(expression, shape=shape)
        case Constant():
            return expression
        case Sum():
            terms = tuple(_cut_operand(term, expression.shape, cut, size, cuts) for term in expression.terms)
            return replace(expression, shape=shape, terms=terms)
        case Product():
            factors = tuple(_cut_operand(factor, expression.shape, cut, size, cuts) for factor in expression.factors)
            return replace(expression, shape=shape, factors=factors)
        case MatrixProduct():
            left = _cut(expression.left, 0 if cut == 0 else None, size, cuts)
            right = _cut(expression.right, 1 if cut == 1 else None, size, cuts)
            return replace(expression, shape=shape, left=left, right=right)
        case Call():
            return _cut_call(expression, shape, cut, size, cuts)
        case _:
            raise CannotCut(f"{type(expression).__name__} has no rule")


def _cut_operand(operand: Expression, whole: Shape, cut: Cut, size: int, cuts: dict[ParameterName, Cut]) -> Expression:
    """A term or factor: of the value's shape, or a number."""
    return _cut(operand, cut if operand.shape == whole else None, size, cuts)


def _cut_call(call: Call, shape: Shape, cut: Cut, size: int, cuts: dict[ParameterName, Cut]) -> Expression:
    operands, own = _find_cuts(call, cut)
    parts = tuple(_cut(each, at, size, cuts) for each, at in zip(call.operands, operands, strict=True))
    brought: list[Own] = []
    for each, at in zip(call.own, own, strict=True):
        _note(each.parameter, at, cuts)
        brought.append(replace(each, shape=divide(each.shape, at, size)))
    return replace(call, shape=shape, operands=parts, own=tuple(brought))


def _find_cuts(call: Call, cut: Cut) -> tuple[tuple[Cut, ...], tuple[Cut, ...]]:
    """Of the operands and of what the function brings."""
    arguments = dict(call.arguments)
    if cut is None:
        return (None,) * len(call.operands), (None,) * len(call.own)
    if call.function == "mix" and arguments.get("block") is None:
        return (cut + 1,), (None,)  # the templates lie along the first dimension
    if call.function == "low_rank" and len(call.shape) == 2:
        return (), tuple({("A", 1): 1, ("B", 0): 0}.get((each.name, cut)) for each in call.own)
    if call.function == "t":
        return (1 - cut,), ()
    if call.function == "scale":
        along = arguments.get("dim")
        here = isinstance(along, int) and along % len(call.shape) == cut
        return (cut,), (0 if here else None,)
    raise CannotCut(f"`{call.function}` may read cells of other parts")


def _note(parameter: ParameterName, cut: Cut, cuts: dict[ParameterName, Cut]) -> None:
    if cuts.setdefault(parameter, cut) != cut:
        raise CannotCut(f"`{parameter}` would have to be cut in two ways")
