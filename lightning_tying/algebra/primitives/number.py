"""A number that stands where a tensor could."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from lightning_tying.algebra.primitives.fixed import dtype_and_device
from lightning_tying.algebra.primitives.node import Inputs, Node


@final
class Number(Node):
    """A constant of shape `[]`."""

    def __init__(self, number: float) -> None:
        super().__init__(())
        self.number = number

    def forward(self, inputs: Inputs) -> Tensor:
        dtype, device = dtype_and_device(inputs)
        return torch.full((), self.number, dtype=dtype, device=device)

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        del target, known
        return []
