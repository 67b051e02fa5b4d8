"""Fixed maps that torch has as views or block copies, so that no cell needs an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.primitives.gather import CellReader


@final
@dataclass(frozen=True)
class Reshaped(CellReader):
    """The same cells in another shape."""

    shape: Shape

    def read(self, operand: Tensor) -> Tensor:
        return operand.reshape(self.shape)


@final
@dataclass(frozen=True)
class Permuted(CellReader):
    """The dimensions in another order: dimension i of the value is `axes[i]` of the operand."""

    axes: tuple[int, ...]

    def read(self, operand: Tensor) -> Tensor:
        return operand.permute(self.axes)


@final
@dataclass(frozen=True)
class Flipped(CellReader):
    """The order along some dimensions turned round."""

    axes: tuple[int, ...]

    def read(self, operand: Tensor) -> Tensor:
        return operand.flip(self.axes)


@final
@dataclass(frozen=True)
class Rolled(CellReader):
    """Moved on along a dimension by `steps`; what leaves at the end comes in at the beginning."""

    steps: int
    dim: int

    def read(self, operand: Tensor) -> Tensor:
        return operand.roll(self.steps, self.dim)


@final
@dataclass(frozen=True)
class Turned(CellReader):
    """The last two dimensions turned by 90° `quarters` times, from the first of them to the second."""

    quarters: int

    def read(self, operand: Tensor) -> Tensor:
        return operand.rot90(self.quarters, (-2, -1))


@final
@dataclass(frozen=True)
class Narrowed(CellReader):
    """`length` slices along a dimension, from `start` on."""

    dim: int
    start: int
    length: int

    def read(self, operand: Tensor) -> Tensor:
        return operand.narrow(self.dim, self.start, self.length)


@final
@dataclass(frozen=True)
class Repeated(CellReader):
    """Each block of `block` slices along a dimension `times` times in a row."""

    times: int
    dim: int
    block: int

    def read(self, operand: Tensor) -> Tensor:
        before, size, after = operand.shape[: self.dim], operand.shape[self.dim], operand.shape[self.dim + 1 :]
        blocks = operand.reshape(*before, size // self.block, 1, self.block, *after)
        repeated = blocks.expand(*before, size // self.block, self.times, self.block, *after)
        return repeated.reshape(*before, size * self.times, *after)


@final
@dataclass(frozen=True)
class OnDiagonal(CellReader):
    """The main diagonal of a matrix that is 0 elsewhere."""

    shape: Shape

    def read(self, operand: Tensor) -> Tensor:
        return torch.diagonal_scatter(operand.new_zeros(self.shape), operand)
