"""A value in, its `low_rank` terms and the rest of it out; a linear layer may add the terms to its output instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from lightning_tying.algebra.expression import (
    Call,
    Constant,
    Expression,
    ParameterName,
    Product,
    Shape,
    Sum,
)


class LowRankTerm(NamedTuple):
    """`coefficient · B A`.

    Args:
        coefficient: the sign, times the numbers that the call is multiplied by.
        a: the number of the slot of A: [r, columns].
        b: the number of the slot of B: [rows, r].
        rank: r.
    """

    coefficient: float
    a: int
    b: int
    rank: int


class SplitValue(NamedTuple):
    """`base + terms`.

    Args:
        shape: of the value, a matrix.
        base: None where the value has no other terms.
        base_slots: the numbers of the slots that the base reads.
        terms: one or more.
    """

    shape: Shape
    base: Expression | None
    base_slots: tuple[int, ...]
    terms: tuple[LowRankTerm, ...]

    @property
    def rank(self) -> int:
        """Of all terms together."""
        return sum(term.rank for term in self.terms)


def split_value(expression: Expression) -> SplitValue | None:
    """The value as a sum of `low_rank` terms and a base; None where it is not one, or not a matrix."""
    if len(expression.shape) != 2 or not any(_is_low_rank(node) for node in expression.walk()):
        return None
    slots = {name: number for number, name in enumerate(expression.parameters)}
    rest: list[tuple[Expression, int]] = []
    terms: list[LowRankTerm] = []
    for term, sign in _flatten(expression, 1):
        low_rank = _read_term(term, sign, slots)
        if low_rank is None:
            rest.append((term, sign))
        else:
            terms.append(low_rank)
    if not terms:
        return None
    base = _join(expression.shape, rest)
    read = () if base is None else tuple(slots[name] for name in base.parameters)
    return SplitValue(expression.shape, base, read, tuple(terms))


def _flatten(expression: Expression, sign: int) -> list[tuple[Expression, int]]:
    if not isinstance(expression, Sum):
        return [(expression, sign)]
    pairs = zip(expression.terms, expression.signs, strict=True)
    return [found for term, own in pairs for found in _flatten(term, sign * own)]


def _join(shape: Shape, rest: list[tuple[Expression, int]]) -> Expression | None:
    if not rest:
        return None
    if len(rest) == 1 and rest[0][1] == 1 and not isinstance(rest[0][0], Constant):
        return rest[0][0]
    return Sum(shape, tuple(term for term, _ in rest), tuple(sign for _, sign in rest))


def _is_low_rank(expression: Expression) -> TypeGuard[Call]:
    return isinstance(expression, Call) and expression.function == "low_rank"


def _read_term(term: Expression, sign: int, slots: Mapping[ParameterName, int]) -> LowRankTerm | None:
    coefficient = float(sign)
    if isinstance(term, Product):
        numbers = [factor.number for factor in term.factors if isinstance(factor, Constant)]
        others = [factor for factor in term.factors if not isinstance(factor, Constant)]
        if len(others) != 1:
            return None
        for number in numbers:
            coefficient *= number
        term = others[0]
    if not _is_low_rank(term):
        return None
    own = {each.name: each for each in term.own}
    return LowRankTerm(coefficient, slots[own["A"].parameter], slots[own["B"].parameter], own["A"].shape[0])
