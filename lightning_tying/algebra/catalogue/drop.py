"""`drop`: dropout of a tensor's cells (DropConnect in AWD-LSTM; Merity et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from lightning_tying.algebra.partial_shapes import Shapes, meet
from lightning_tying.algebra.primitives.drop import Drop as DropNode
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Drop(Transform):
    """`drop(x, p)`: in training each cell is 0 with probability p, and the others are divided by 1 − p."""

    def __init__(self, p: float) -> None:
        self.p = p

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        del site
        shape = meet(shapes.value, shapes.operands[0])
        return Shapes(shape, (shape,), shapes.own, shapes.names)

    def check(self, shapes: Shapes, site: str) -> None:
        del shapes
        if not 0 <= self.p <= 1:
            raise Mistake("44", f"drop at {site}: p is a probability, 0 … 1, not {self.p}.")

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, shapes, key
        return DropNode(operands[0], self.p)
