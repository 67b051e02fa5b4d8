"""`map`: dropout of cells, one draw for each forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from torch import Tensor
from torch.nn.functional import dropout

from lightning_tying.algebra.primitives.node import Inputs, Node


@final
class Drop(Node):
    """In training each cell is 0 with probability `p`, and the others are divided by 1 - p."""

    def __init__(self, operand: Node, p: float) -> None:
        super().__init__(operand.shape, (operand,))
        self.p = p

    def forward(self, inputs: Inputs) -> Tensor:
        return dropout(self.operands[0].forward(inputs), self.p, inputs.training)

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        return [target if known[0] is None else None]

    @property
    def is_random(self) -> bool:
        return self.p > 0 or super().is_random
