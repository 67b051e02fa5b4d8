"""A map that is a scalar in; its value out, reckoned with intervals or with the numbers of all cells at once."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from lightning_tying.algebra.expression import ScalarMap, Shape
from lightning_tying.spec.evaluation import evaluate_node
from lightning_tying.spec.mistakes import Mistake, quote_text
from lightning_tying.spec.names import is_coordinate
from lightning_tying.spec.scalars import read_scalar
from lightning_tying.spec.scope import ScalarValue
from lightning_tying.spec.tree import describe_value

V = TypeVar("V")
Number: TypeAlias = int | float


class Reckoning(Protocol[V]):
    """What numbers of cells are made of: intervals, or tensors. `node` is for messages."""

    def constant(self, number: Number) -> V:
        """A number that is the same in all cells."""
        ...

    def coordinate(self, dim: int, size: int) -> V:
        """`i0`, `i1`, …: 0 … size − 1 along a dimension."""
        ...

    def operate(self, left: V, right: V, node: ast.BinOp) -> V:
        """An operation of arithmetic."""
        ...

    def negate(self, operand: V) -> V:
        """`-a`."""
        ...

    def compare(self, left: V, right: V, op: ast.cmpop) -> V:
        """`==`, `!=`, `<`, `<=`, `>` or `>=`: 0 or 1."""
        ...

    def choose(self, values: Sequence[V], function: str) -> V:
        """`min` or `max`."""
        ...

    def round(self, value: V, function: str) -> V:
        """`floor` or `ceil`."""
        ...

    def hash(self, values: Sequence[V | str], node: ast.Call) -> V:
        """`hash(a, b, …)`."""
        ...


def evaluate_map(scalar_map: ScalarMap, shape: Shape, reckoning: Reckoning[V]) -> V:
    """The value of a map with one kind of numbers.

    Args:
        scalar_map: its text, with the words of its site.
        shape: of what has these cells.
        reckoning: intervals or tensors.

    Raises:
        Mistake: 46, 48, 49, 57: an unknown word, texts where numbers are needed, a division by zero, a number beyond
            ±2⁶³.
    """
    return _Walk(scalar_map, shape, reckoning).visit(read_scalar(scalar_map.text).node)


@dataclass(frozen=True)
class _MapScope:
    """What the words in a map are; a map knows no positions of captures."""

    words: Mapping[str, ScalarValue]

    def position(self, name: str) -> int:
        raise Mistake("55", f"A map cannot ask for the position of `{name}`. Write it to an index or a let name.")

    def count(self, name: str) -> int:
        raise Mistake("55", f"A map cannot count `{name}`. Write the number, or a let name.")


class _Walk(Generic[V]):
    """Goes down one syntax tree; parts without coordinates are evaluated as any scalar."""

    def __init__(self, scalar_map: ScalarMap, shape: Shape, reckoning: Reckoning[V]) -> None:
        self.text = scalar_map.text
        self.shape = shape
        self.reckoning = reckoning
        self.scope = _MapScope(dict(scalar_map.words))

    def visit(self, node: ast.expr) -> V:
        if _is_plain(node):
            return self._constant(node)
        match node:
            case ast.Name(id=word):
                return self._coordinate(word)
            case ast.BinOp(left=left, right=right):
                return self.reckoning.operate(self.visit(left), self.visit(right), node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.reckoning.negate(self.visit(operand))
            case ast.Compare():
                return self._compare(node)
            case ast.Call(func=ast.Name(id=function), args=arguments):
                return self._call(node, function, arguments)
            case _:
                raise Mistake("23", f"{quote_text(ast.unparse(node))} is not read in a map.")

    def _constant(self, node: ast.expr) -> V:
        value = evaluate_node(node, self.scope)
        if isinstance(value, (int, float)):
            return self.reckoning.constant(int(value) if isinstance(value, bool) else value)
        kind = f"the text {value!r}" if isinstance(value, str) else describe_value(value)
        raise Mistake("48", f"{quote_text(self.text)}: {ast.unparse(node)} is {kind}, and a map needs numbers.")

    def _coordinate(self, word: str) -> V:
        dim, dimensions = int(word[1:]), len(self.shape)
        if dim >= dimensions:
            places = "no coordinate" if not dimensions else "i0" if dimensions == 1 else f"i0 … i{dimensions - 1}"
            raise Mistake("46", f"`{word}` is no coordinate here: the cells of this map have {places}.")
        return self.reckoning.coordinate(dim, self.shape[dim])

    def _compare(self, node: ast.Compare) -> V:
        """A chain holds where all its links hold; `in` a list where one entry is equal."""
        held = self.reckoning.constant(1)
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            link = (
                self._is_in(left, right, op, node)
                if isinstance(op, (ast.In, ast.NotIn))
                else self._link(left, right, op)
            )
            held = self.reckoning.choose([held, link], "min")
            left = right
        return held

    def _link(self, left: ast.expr, right: ast.expr, op: ast.cmpop) -> V:
        return self.reckoning.compare(self.visit(left), self.visit(right), op)

    def _is_in(self, left: ast.expr, right: ast.expr, op: ast.cmpop, node: ast.Compare) -> V:
        if not isinstance(right, ast.List):
            raise Mistake("48", f"{quote_text(ast.unparse(node))}: in a map `in` needs a list, such as [0, 3].")
        links = [self._link(left, entry, ast.Eq()) for entry in right.elts]
        one = self.reckoning.constant(1)
        held = self.reckoning.choose([self.reckoning.constant(0), *links], "max")
        return held if isinstance(op, ast.In) else self.reckoning.compare(held, one, ast.NotEq())

    def _call(self, node: ast.Call, function: str, arguments: Sequence[ast.expr]) -> V:
        if function == "hash":
            return self.reckoning.hash([self._hashable(part) for part in arguments], node)
        values = [self.visit(part) for part in arguments]
        if function in ("min", "max"):
            return self.reckoning.choose(values, function)
        if function in ("floor", "ceil"):
            return self.reckoning.round(values[0], function)
        raise Mistake("55", f"{quote_text(ast.unparse(node))}: {function} needs a capture, and cells are none.")

    def _hashable(self, node: ast.expr) -> V | str:
        if _is_plain(node):
            value = evaluate_node(node, self.scope)
            return value if isinstance(value, str) else self._constant(node)
        return self.visit(node)


def _is_plain(node: ast.expr) -> bool:
    """Whether a part has no coordinates, and no comparison below arithmetic: there it would not count as a number."""
    below = list(ast.walk(node))[1:]
    if any(isinstance(part, ast.Name) and is_coordinate(part.id) for part in (node, *below)):
        return False
    return isinstance(node, ast.Compare) or not any(isinstance(part, ast.Compare) for part in below)
