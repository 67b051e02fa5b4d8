"""A `map` over several tensors that a transform of the user's own computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, final

from torch import Tensor

from lightning_tying.algebra.partial_shapes import Shapes, whole
from lightning_tying.algebra.primitives.node import Inputs, Node


class Forward(Protocol):
    """A transform, as far as this node needs one."""

    def forward(self, operands: Sequence[Tensor], own: Sequence[Tensor], shapes: Shapes) -> Tensor: ...


@final
class Custom(Node):
    """Calls `transform.forward` with operands and own parameters."""

    def __init__(self, transform: Forward, operands: Sequence[Node], count: int, shapes: Shapes) -> None:
        super().__init__(whole(shapes.value), operands)
        self.transform = transform
        self.count = count
        self.shapes = shapes

    def forward(self, inputs: Inputs) -> Tensor:
        values = [operand.forward(inputs) for operand in self.operands]
        return self.transform.forward(values[: self.count], values[self.count :], self.shapes)

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        del target
        return [None] * len(known)
