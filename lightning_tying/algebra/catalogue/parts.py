"""`slice` and `repeat`: a part of a parameter, or its blocks several times in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import final

from lightning_tying.algebra.catalogue.shape_rules import (
    find_dimension,
    need_whole,
    one_size,
    share_other_sizes,
    write_partial,
)
from lightning_tying.algebra.partial_shapes import Partial, Shapes, meet, replace_at, whole
from lightning_tying.algebra.primitives.gather import Gather
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.views import Narrowed, Repeated
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Slice(Transform):
    """`slice(x, start, stop, dim=0)`: the slices start … stop − 1 along a dimension."""

    def __init__(self, start: int, stop: int, dim: int = 0) -> None:
        self.start = need_whole("slice", "start", start, 0)
        self.stop = need_whole("slice", "stop", stop)
        if self.stop <= self.start:
            raise Mistake("48", f"slice: stop, {self.stop}, is not after start, {self.start}.")
        self.dim = need_whole("slice", "dim", dim)

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        value, operand = share_other_sizes((shapes.value, *shapes.operands), self.dim, "slice", site)
        if value is not None:
            dim = find_dimension("slice", self.dim, value, site)
            value = meet(value, one_size(len(value), dim, self.stop - self.start))
        return replace(shapes, value=value, operands=(operand,))

    def least(self, shapes: Shapes, site: str) -> tuple[Partial, ...]:
        (operand,) = shapes.operands
        if operand is None:
            return (None,)
        dim = find_dimension("slice", self.dim, operand, site)
        return (one_size(len(operand), dim, self.stop),)

    def check(self, shapes: Shapes, site: str) -> None:
        operand = whole(shapes.operands[0])
        dim = find_dimension("slice", self.dim, operand, site)
        if operand[dim] < self.stop:
            text = f"slice at {site}: {shapes.name(0)} is {write_partial(operand)}"
            raise Mistake("60", f"{text}, so dimension {dim} has nothing from {operand[dim]} to {self.stop}.")

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        shape = whole(shapes.value)
        return Gather(shape, operands[0], Narrowed(self.dim % len(shape), self.start, self.stop - self.start))


@final
class Repeat(Transform):
    """`repeat(x, n, dim=0, block=1)`: each block of `block` slices n times in a row (Ainslie et al. 2023: heads)."""

    def __init__(self, n: int, dim: int = 0, block: int = 1) -> None:
        self.n = need_whole("repeat", "n", n, 1)
        self.dim = need_whole("repeat", "dim", dim)
        self.block = need_whole("repeat", "block", block, 1)

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        value, operand = share_other_sizes((shapes.value, *shapes.operands), self.dim, "repeat", site)
        if value is None or operand is None:
            return replace(shapes, value=value, operands=(operand,))
        dim = find_dimension("repeat", self.dim, value, site)
        size, stored = value[dim], operand[dim]
        if size is not None and size % (self.n * self.block):
            raise Mistake("66", f"repeat at {site}: {size} is not a multiple of {self.n} × {self.block}.")
        if stored is not None and stored % self.block:
            raise Mistake("66", f"repeat at {site}: {shapes.name(0)} has {stored}, not a multiple of {self.block}.")
        value = meet(value, replace_at(value, dim, size if stored is None else stored * self.n))
        operand = meet(operand, replace_at(operand, dim, stored if size is None else size // self.n))
        return replace(shapes, value=value, operands=(operand,))

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        shape = whole(shapes.value)
        return Gather(shape, operands[0], Repeated(self.n, self.dim % len(shape), self.block))
