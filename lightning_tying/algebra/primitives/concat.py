"""`concat`: values one after the other along a dimension."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import final

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.primitives.node import Inputs, Node


@final
class Concat(Node):
    """Joins its operands along `dim`; each is fitted to its own part of the target."""

    def __init__(self, shape: Shape, operands: Sequence[Node], dim: int) -> None:
        super().__init__(shape, operands)
        self.dim = dim

    def forward(self, inputs: Inputs) -> Tensor:
        return torch.cat([operand.forward(inputs) for operand in self.operands], self.dim)

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        sizes = [operand.shape[self.dim] for operand in self.operands]
        starts = accumulate(sizes, initial=0)
        parts = [target.narrow(self.dim, start, size) for start, size in zip(starts, sizes, strict=False)]
        return [part if value is None else None for value, part in zip(known, parts, strict=True)]
