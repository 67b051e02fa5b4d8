"""`gather`: every cell of the value is a cell of the operand, by a fixed map; a cell may also change its sign."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.primitives.node import Inputs, Node


class CellReader(ABC):
    """A fixed map, in the form that reads fastest. Linear in the operand but for constants."""

    @abstractmethod
    def read(self, operand: Tensor) -> Tensor:
        """The value; differentiable as often as one likes."""

    def read_unsigned(self, operand: Tensor) -> Tensor:
        """The value without changes of sign, from which the readers of a cell are counted."""
        return self.read(operand)

    def prepare(self, device: torch.device) -> None:
        """Make what is read from on that device; a map without indices has nothing to make."""
        del device


@final
class Gather(Node):
    """Reads its operand through a fixed map.

    Args:
        shape: of the value.
        operand: what is read.
        reader: the map.
    """

    def __init__(self, shape: Shape, operand: Node, reader: CellReader) -> None:
        super().__init__(shape, (operand,))
        self.reader = reader

    def forward(self, inputs: Inputs) -> Tensor:
        return self.reader.read(self.operands[0].forward(inputs))

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Each cell of the operand is the mean over the cells that read it, 0 where none does; inverts exact maps."""
        if known[0] is not None:
            return [None]
        sums, counts = self.scatter(target)
        return [sums / counts.clamp(min=1)]

    def scatter(self, target: Tensor, counts: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """For each cell of the operand the sum over the cells that read it, and how many do: to be pooled over sites.

        Args:
            target: what the value should be, floating-point, or sums of what several sites say.
            counts: how often each cell of the target counts; None: once.

        Returns:
            Two tensors of the operand's shape and the target's dtype; signs are undone, constants left out.
        """
        counts = torch.ones_like(target) if counts is None else counts.to(target.dtype)
        return self._transpose(target.detach(), signed=True), self._transpose(counts, signed=False)

    def _transpose(self, cells: Tensor, *, signed: bool) -> Tensor:
        """The transposed map, which is the gradient of the map."""
        with torch.inference_mode(False), torch.enable_grad():
            operand = torch.zeros(self.operands[0].shape, dtype=cells.dtype, device=cells.device, requires_grad=True)
            value = self.reader.read(operand) if signed else self.reader.read_unsigned(operand)
            return torch.autograd.grad(value, operand, cells)[0]

    def prepare(self, device: torch.device, dtype: torch.dtype) -> None:
        super().prepare(device, dtype)
        if device.type != "meta":
            self.reader.prepare(device)
