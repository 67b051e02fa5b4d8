"""The least and the largest that a map can name, from the form of its scalar alone."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from lightning_tying.algebra.expression import ScalarMap, Shape
from lightning_tying.algebra.maps.map_scalars import Number, Reckoning, evaluate_map
from lightning_tying.spec.mistakes import Mistake, quote_text

_LARGEST_HASH = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Interval:
    """All numbers from `low` to `high`; both are whole, or both real.

    Args:
        low: the least.
        high: the largest.
        safe: whether no cell can divide by zero on the way here.
    """

    low: Number
    high: Number
    safe: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole numbers."""
        return isinstance(self.low, int)

    def holds_zero(self) -> bool:
        """Whether 0 is one of its numbers."""
        return self.low <= 0 <= self.high


@lru_cache(maxsize=1024)
def bound_map(scalar_map: ScalarMap, shape: Shape) -> Interval:
    """Between what a map's numbers lie, by interval arithmetic.

    Raises:
        Mistake: 46, 48, 49, 50, 57.
    """
    bounds = evaluate_map(scalar_map, shape, IntervalReckoning())
    if not bounds.is_whole:
        halves = " Write // in place of /." if "/" in scalar_map.text.replace("//", "") else ""
        text = f"{quote_text(scalar_map.text)} is a real number, and a map names whole numbers.{halves}"
        raise Mistake("50", text)
    return bounds


class IntervalReckoning(Reckoning[Interval]):
    """Arithmetic on intervals; `e % n` names 0 … n − 1 whatever `e` is."""

    def constant(self, number: Number) -> Interval:
        return Interval(number, number)

    def coordinate(self, dim: int, size: int) -> Interval:
        del dim
        return Interval(0, max(size - 1, 0))

    def operate(self, left: Interval, right: Interval, node: ast.BinOp) -> Interval:
        try:
            low, high = _operate(left, right, node)
        except OverflowError:
            raise _too_large(node) from None
        if not (left.is_whole and right.is_whole) or isinstance(node.op, ast.Div):
            low, high = float(low), float(high)
        divides = isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Mod))
        safe = left.safe and right.safe and not (divides and right.holds_zero())
        if isinstance(low, int) and (low < -_LARGEST_HASH - 1 or high > _LARGEST_HASH):
            raise _too_large(node)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise _too_large(node)
        return Interval(low, high, safe)

    def negate(self, operand: Interval) -> Interval:
        return Interval(-operand.high, -operand.low, operand.safe)

    def compare(self, left: Interval, right: Interval, op: ast.cmpop) -> Interval:
        del op
        return Interval(0, 1, left.safe and right.safe)

    def choose(self, values: Sequence[Interval], function: str) -> Interval:
        choose = min if function == "min" else max
        low, high = choose(value.low for value in values), choose(value.high for value in values)
        if not all(value.is_whole for value in values):
            low, high = float(low), float(high)
        return Interval(low, high, all(value.safe for value in values))

    def round(self, value: Interval, function: str) -> Interval:
        to_whole = math.floor if function == "floor" else math.ceil
        low, high = to_whole(value.low), to_whole(value.high)
        if low < -_LARGEST_HASH - 1 or high > _LARGEST_HASH:
            raise Mistake("49", f"`{function}(…)` is too large: whole numbers stay within ±2⁶³.")
        return Interval(low, high, value.safe)

    def hash(self, values: Sequence[Interval | str], node: ast.Call) -> Interval:
        numbers = [value for value in values if isinstance(value, Interval)]
        if not all(number.is_whole for number in numbers):
            raise Mistake("48", f"{quote_text(ast.unparse(node))}: hash takes whole numbers and texts.")
        return Interval(0, _LARGEST_HASH, all(number.safe for number in numbers))


def _operate(left: Interval, right: Interval, node: ast.BinOp) -> tuple[Number, Number]:
    match node.op:
        case ast.Add():
            return left.low + right.low, left.high + right.high
        case ast.Sub():
            return left.low - right.high, left.high - right.low
        case ast.Mult():
            corners = [a * b for a, b in product((left.low, left.high), (right.low, right.high))]
        case ast.Div() | ast.FloorDiv():
            divisors = _divisors(right, node)
            whole = isinstance(node.op, ast.FloorDiv)
            corners = [a // b if whole else a / b for a, b in product((left.low, left.high), divisors)]
        case ast.Mod():
            return _remainders(right, node)
        case _:
            corners = _powers(left, right, node)
    return min(corners), max(corners)


def _divisors(right: Interval, node: ast.BinOp) -> list[Number]:
    """The ends of what can stand below, on both sides of zero; whether a cell has zero there, the cells find out."""
    text = quote_text(ast.unparse(node))
    if right.low == right.high == 0:
        shown = "" if isinstance(node.right, ast.Constant) else f" ({ast.unparse(node.right)} = 0)"
        raise Mistake("49", f"{text} divides by zero{shown}.")
    if not right.holds_zero():
        return [right.low, right.high]
    if not right.is_whole:
        raise Mistake("49", f"{text} divides by a real number that may be zero.")
    return [end for end in (right.low, -1, 1, right.high) if end and right.low <= end <= right.high]


def _remainders(right: Interval, node: ast.BinOp) -> tuple[Number, Number]:
    """From 0 to one before the divisor, with its sign, as in Python."""
    divisors = _divisors(right, node)
    step = 1 if right.is_whole else 0
    return min(0, min(divisors) + step), max(0, max(divisors) - step)


def _powers(left: Interval, right: Interval, node: ast.BinOp) -> list[Number]:
    """The corners, with the bases and exponents beside which a power turns."""
    if right.low < 0 or not right.is_whole:
        raise Mistake("48", f"{quote_text(ast.unparse(node))}: an exponent in a map is a whole number of 0 or more.")
    if max(abs(left.low), abs(left.high)) > 1 and right.high > 64:
        raise _too_large(node)
    bases = {left.low, left.high, *(turn for turn in (-1, 0, 1) if left.low <= turn <= left.high)}
    exponents = {
        int(right.low),
        int(right.high),
        int(max(right.low, right.high - 1)),
        int(min(right.high, right.low + 1)),
    }
    return [base**exponent for base, exponent in product(bases, exponents)]


def _too_large(node: ast.expr) -> Mistake:
    return Mistake("49", f"{quote_text(ast.unparse(node))} is too large: whole numbers stay within ±2⁶³.")
