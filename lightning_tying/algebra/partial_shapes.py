"""Shapes that are known in part, and what two of them say together; no tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from lightning_tying.algebra.expression import Shape

Partial: TypeAlias = tuple[int | None, ...] | None  # None: not even the number of dimensions is known
NUMBER: Partial = ()  # what a number and a parameter declared `shape: []` have; they are broadcast


class ShapeClash(Exception):
    """Two partial shapes of one tensor contradict each other; whoever knows the tensor words the mistake."""

    def __init__(self, one: Partial, other: Partial) -> None:
        super().__init__(one, other)
        self.one = one
        self.other = other


def meet(one: Partial, other: Partial) -> Partial:
    """What holds of a tensor for which both hold.

    Raises:
        ShapeClash: they contradict each other.
    """
    if one is None or other is None:
        return other if one is None else one
    if len(one) != len(other):
        raise ShapeClash(one, other)
    if one == other:
        return one
    sizes: list[int | None] = []
    for first, second in zip(one, other, strict=True):
        if first is not None and second is not None and first != second:
            raise ShapeClash(one, other)
        sizes.append(second if first is None else first)
    return tuple(sizes)


def is_whole(partial: Partial) -> bool:
    """Whether every size is known."""
    return partial is not None and None not in partial


def whole(partial: Partial) -> Shape:
    """The shape, where every size is known.

    Raises:
        ValueError: one is open.
    """
    if partial is None:
        raise ValueError("no shape is known")
    if None in partial:
        raise ValueError(f"{partial} has an open size")
    return cast(Shape, partial)


def open_shape(dimensions: int) -> Partial:
    """A shape of which only the number of dimensions is known."""
    return (None,) * dimensions


@dataclass(frozen=True, slots=True)
class Shapes:
    """What is known of the tensors of one call.

    Args:
        value: of what it makes.
        operands: of its tensor arguments, in order.
        own: of what it brings, in the transform's order.
        names: what the operands are called in messages: the names of those that are parameters as they are, the text
            of others. Who asks `infer`, `least`, `divide` and `check` gives them; an answer may leave them out.
    """

    value: Partial
    operands: tuple[Partial, ...] = ()
    own: tuple[Partial, ...] = ()
    names: tuple[str, ...] = field(default=(), compare=False)

    def name(self, place: int) -> str:
        """What an operand is called in a message."""
        return self.names[place] if place < len(self.names) else f"argument {place + 1}"


def replace_at(shape: Sequence[int | None], place: int, size: int | None) -> Partial:
    """The shape with another size at one place."""
    sizes = list(shape)
    sizes[place] = size
    return tuple(sizes)
