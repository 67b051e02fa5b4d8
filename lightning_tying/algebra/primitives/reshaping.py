"""A node and a shape in; its cells in that shape out, all of them or the first ones, as views."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import final

from torch import Tensor

from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.primitives.gather import CellReader, Gather
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.views import Reshaped


@final
@dataclass(frozen=True)
class FirstCells(CellReader):
    """The first cells in row-major order, in another shape."""

    shape: Shape

    def read(self, operand: Tensor) -> Tensor:
        return operand.reshape(-1)[: prod(self.shape)].reshape(self.shape)


def reshape_node(node: Node, shape: Shape) -> Node:
    """The cells of a node in another shape with as many or fewer cells, of which it takes the first."""
    if node.shape == shape:
        return node
    if prod(node.shape) == prod(shape):
        return Gather(shape, node, Reshaped(shape))
    return Gather(shape, node, FirstCells(shape))
