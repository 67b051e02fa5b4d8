"""`t`, `reshape`, `permute`, `flip`, `roll`, `rot90`: the same cells in another order; each has an exact inverse."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import final

from lightning_tying.algebra.catalogue.shape_rules import (
    find_dimension,
    need_dimensions,
    need_whole,
    need_wholes,
    write_partial,
)
from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.partial_shapes import Partial, Shapes, meet, open_shape, whole
from lightning_tying.algebra.primitives.gather import CellReader, Gather
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.views import Flipped, Permuted, Reshaped, Rolled, Turned
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake


class Layout(Transform):
    """A function whose value has the operand's sizes, in another order perhaps."""

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        value, (operand,) = shapes.value, shapes.operands
        self.check_dimensions(value, site)
        self.check_dimensions(operand, site, shapes.name(0))
        value = meet(value, None if operand is None else self.arrange(operand))
        operand = meet(operand, None if value is None else self.arrange_back(value))
        return replace(shapes, value=value, operands=(operand,))

    def check_dimensions(self, known: Partial, site: str, operand: str = "") -> None:
        """Refuse a value, or the operand of that name, without the dimensions that are needed."""

    def arrange(self, sizes: Sequence[int | None]) -> Partial:
        """The value's sizes from the operand's."""
        return tuple(sizes)

    def arrange_back(self, sizes: Sequence[int | None]) -> Partial:
        """The operand's sizes from the value's."""
        return self.arrange(sizes)

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        shape = whole(shapes.value)
        return Gather(shape, operands[0], self.make_reader(shape))

    @abstractmethod
    def make_reader(self, shape: Shape) -> CellReader:
        """The map for a value of that shape."""


@final
class T(Layout):
    """`t(x)`: a matrix transposed."""

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        found = super().infer(shapes, site)
        return super().infer(replace(found, value=meet(found.value, open_shape(2))), site)

    def check_dimensions(self, known: Partial, site: str, operand: str = "") -> None:
        need_dimensions("t", known, 2, site, operand=operand)

    def arrange(self, sizes: Sequence[int | None]) -> Partial:
        return tuple(reversed(sizes))

    def make_reader(self, shape: Shape) -> CellReader:
        del shape
        return Permuted((1, 0))


@final
class Permute(Layout):
    """`permute(x, a, b, …)`: dimension i of the value is dimension aᵢ of x."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = need_wholes("permute", "a dimension", axes)

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        found = super().infer(shapes, site)
        return super().infer(replace(found, value=meet(found.value, open_shape(len(self.axes)))), site)

    def check_dimensions(self, known: Partial, site: str, operand: str = "") -> None:
        del operand
        count = len(self.axes)
        if (known is not None and len(known) != count) or sorted(self._order) != list(range(count)):
            written, shown = ", ".join(map(str, self.axes)), "" if known is None else f" of {write_partial(known)}"
            raise Mistake("63", f"permute at {site}: {written} is not an order of all dimensions{shown}.")

    @property
    def _order(self) -> tuple[int, ...]:
        return tuple(axis + len(self.axes) if axis < 0 else axis for axis in self.axes)

    def arrange(self, sizes: Sequence[int | None]) -> Partial:
        return tuple(sizes[axis] for axis in self._order)

    def arrange_back(self, sizes: Sequence[int | None]) -> Partial:
        return tuple(sizes[self._order.index(dim)] for dim in range(len(sizes)))

    def make_reader(self, shape: Shape) -> CellReader:
        del shape
        return Permuted(self._order)


@final
class Flip(Layout):
    """`flip(x, a, …)`: the order along some dimensions turned round."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = need_wholes("flip", "a dimension", axes)

    def check_dimensions(self, known: Partial, site: str, operand: str = "") -> None:
        del operand
        places = [] if known is None else [find_dimension("flip", axis, known, site) for axis in self.axes]
        if len(set(places)) < len(places):
            raise Mistake("63", f"flip at {site}: {', '.join(map(str, self.axes))} names one dimension twice.")

    def make_reader(self, shape: Shape) -> CellReader:
        return Flipped(tuple(axis % len(shape) for axis in self.axes))


@final
class Roll(Layout):
    """`roll(x, n, dim=0)`: moved on by n along a dimension, round the end."""

    def __init__(self, n: int, dim: int = 0) -> None:
        self.n = need_whole("roll", "n", n)
        self.dim = need_whole("roll", "dim", dim)

    def check_dimensions(self, known: Partial, site: str, operand: str = "") -> None:
        del operand
        if known is not None:
            find_dimension("roll", self.dim, known, site)

    def make_reader(self, shape: Shape) -> CellReader:
        return Rolled(self.n, self.dim % len(shape))


@final
class Rot90(Layout):
    """`rot90(x, k=1)`: the last two dimensions turned k times by 90°, as `torch.rot90(x, k, (-2, -1))` does."""

    def __init__(self, k: int = 1) -> None:
        self.k = need_whole("rot90", "k", k)

    def check_dimensions(self, known: Partial, site: str, operand: str = "") -> None:
        need_dimensions("rot90", known, 2, site, more=True, operand=operand)

    def arrange(self, sizes: Sequence[int | None]) -> Partial:
        return (*sizes[:-2], sizes[-1], sizes[-2]) if self.k % 2 else tuple(sizes)

    def make_reader(self, shape: Shape) -> CellReader:
        del shape
        return Turned(self.k % 4)


@final
class Reshape(Transform):
    """`reshape(x, shape=None)`: the same cells, in row-major order, in another shape."""

    def __init__(self, shape: tuple[int, ...] | None = None) -> None:
        self.shape = None if shape is None else need_wholes("reshape", "a size of shape", shape)

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        (operand,) = shapes.operands
        value = meet(shapes.value, self.shape)
        value, operand = _fill(value, operand, site), _fill(operand, value, site)
        return replace(shapes, value=value, operands=(operand,))

    def check(self, shapes: Shapes, site: str) -> None:
        value, operand = whole(shapes.value), whole(shapes.operands[0])
        if math.prod(value) != math.prod(operand):
            raise _other_count(operand, value, site)

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        shape = whole(shapes.value)
        return Gather(shape, operands[0], Reshaped(shape))


def _fill(partial: Partial, other: Partial, site: str) -> Partial:
    """The one open size of a shape, from the number of cells of the other."""
    if partial is None or other is None or None in other or partial.count(None) != 1:
        return partial
    cells = math.prod(whole(other))
    known = math.prod(size for size in partial if size is not None)
    if known == 0:
        return partial
    if cells % known:
        raise _other_count(other, partial, site)
    return tuple(cells // known if size is None else size for size in partial)


def _other_count(one: Partial, other: Partial, site: str) -> Mistake:
    text = f"reshape at {site}: {write_partial(one)} and {write_partial(other)} have not the same number of cells."
    return Mistake("60", text)
