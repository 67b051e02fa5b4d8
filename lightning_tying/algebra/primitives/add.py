"""`add`: the sum of tensors, each with a sign, and of a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.primitives.node import Inputs, Node


@final
class Add(Node):
    """`± a ± b + number`; an operand of shape `[]` is broadcast.

    Args:
        shape: of the sum.
        operands: one or more.
        signs: 1 or -1 for each.
        number: what is added to every cell.
    """

    def __init__(self, shape: Shape, operands: Sequence[Node], signs: Sequence[int], number: float = 0) -> None:
        super().__init__(shape, operands)
        self.signs = tuple(signs)
        self.number = number

    def forward(self, inputs: Inputs) -> Tensor:
        first = self.operands[0].forward(inputs)
        total = first if self.signs[0] > 0 else -first
        for operand, sign in zip(self.operands[1:], self.signs[1:], strict=True):
            value = operand.forward(inputs)
            total = total + value if sign > 0 else total - value
        return total + self.number if self.number else total

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        """What is left when the settled operands are taken away; each open one counts 0 for the others."""
        rest = target - self.number
        for value, sign in zip(known, self.signs, strict=True):
            if value is not None:
                rest = rest - sign * value.to(target)
        return [
            None if value is not None else sign * _reduce(rest, operand.shape)
            for operand, value, sign in zip(self.operands, known, self.signs, strict=True)
        ]


def _reduce(value: Tensor, shape: Shape) -> Tensor:
    """A broadcast number fits the cells best as their mean."""
    if shape == () and value.ndim:
        return value.mean()
    return value if value.shape == torch.Size(shape) else value.expand(shape)
