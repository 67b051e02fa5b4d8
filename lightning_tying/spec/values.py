"""The right side of an equation as a tree of frozen nodes: names, numbers, operators and calls of functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

from lightning_tying.spec.scalars import Scalar


@dataclass(frozen=True)
class Value:
    """What a site reads; equal when the canonical texts are.

    Args:
        text: as `ast.unparse` writes it.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def bare(self) -> Ref | None:
        """The name, where the value is a bare name and so can be an alias."""
        return None

    @property
    def children(self) -> tuple[Value, ...]:
        """The values that this one is made of, from left to right."""
        return ()

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """The scalars of this node, without those of its children."""
        return ()

    def walk(self) -> Iterator[Value]:
        """This value and all below it, from left to right as written."""
        waiting: list[Value] = [self]
        while waiting:
            value = waiting.pop()
            yield value
            waiting.extend(reversed(value.children))

    def refs(self) -> tuple[Ref, ...]:
        """The shared parameters that are named, from left to right, each as often as it is read."""
        return tuple(value for value in self.walk() if isinstance(value, Ref))

    def calls(self) -> tuple[Call, ...]:
        """The calls of functions, from left to right as written."""
        return tuple(value for value in self.walk() if isinstance(value, Call))


@final
@dataclass(frozen=True)
class Ref(Value):
    """A shared parameter: `W`, or a member of a family, `W[name, l % K]`."""

    name: str = field(compare=False)
    index: tuple[Scalar, ...] = field(default=(), compare=False)

    @property
    def bare(self) -> Ref | None:
        return self

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        return self.index


@final
@dataclass(frozen=True)
class Number(Value):
    """A scalar that stands where a tensor could: `0.5`, `d1 ** 0.5`."""

    scalar: Scalar = field(compare=False)

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        return (self.scalar,)


@final
@dataclass(frozen=True)
class Negative(Value):
    """`-x`."""

    operand: Value = field(compare=False)

    @property
    def children(self) -> tuple[Value, ...]:
        return (self.operand,)


@final
@dataclass(frozen=True)
class Sum(Value):
    """`a + b - c`: the terms, with a sign for each (1 or -1)."""

    terms: tuple[Value, ...] = field(compare=False)
    signs: tuple[int, ...] = field(compare=False)

    @property
    def children(self) -> tuple[Value, ...]:
        return self.terms


@final
@dataclass(frozen=True)
class Product(Value):
    """`a * b * c`, cell by cell."""

    factors: tuple[Value, ...] = field(compare=False)

    @property
    def children(self) -> tuple[Value, ...]:
        return self.factors


@final
@dataclass(frozen=True)
class Quotient(Value):
    """`a / number`."""

    dividend: Value = field(compare=False)
    divisor: Scalar = field(compare=False)

    @property
    def children(self) -> tuple[Value, ...]:
        return (self.dividend,)

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        return (self.divisor,)


@final
@dataclass(frozen=True)
class MatrixProduct(Value):
    """`a @ b`: the product of two matrices."""

    left: Value = field(compare=False)
    right: Value = field(compare=False)

    @property
    def children(self) -> tuple[Value, ...]:
        return (self.left, self.right)


@final
@dataclass(frozen=True)
class Call(Value):
    """A function with its arguments, and the index after it that says who shares what it brings."""

    function: str = field(compare=False)
    arguments: tuple[Value | Scalar, ...] = field(compare=False)
    keywords: tuple[tuple[str, Scalar], ...] = field(default=(), compare=False)
    index: tuple[Scalar, ...] = field(default=(), compare=False)

    @property
    def children(self) -> tuple[Value, ...]:
        return tuple(argument for argument in self.arguments if isinstance(argument, Value))

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        given = (argument for argument in self.arguments if isinstance(argument, Scalar))
        return (*given, *(scalar for _, scalar in self.keywords), *self.index)
