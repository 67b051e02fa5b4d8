"""`einsum` with fixed numbers of which most are 0, or which factor: the products of `project` that no matrix holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from lightning_tying.algebra.fits.linear_algebra import invert
from lightning_tying.algebra.primitives.fixed import FixedNumbers, Recipe
from lightning_tying.algebra.primitives.node import Inputs, Node
from lightning_tying.algebra.primitives.ref import Ref


@final
class SparseProduct(Node):
    """A fixed sparse matrix times a vector.

    Args:
        cells: how many the value has.
        operand: the vector.
        recipe: makes the rows, columns and values of the entries that are not 0, and the matrix's factor is in them.
    """

    def __init__(self, cells: int, operand: Node, recipe: Recipe) -> None:
        super().__init__((cells,), (operand,))
        self.numbers = FixedNumbers(recipe)

    def forward(self, inputs: Inputs) -> Tensor:
        vector = self.operands[0].forward(inputs)
        if vector.device.type == "meta":
            return vector.sum().expand(self.shape)
        rows, columns, values = self.numbers.get(vector.dtype, vector.device)
        return vector.new_zeros(self.shape).index_add(0, rows, vector[columns] * values)

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        return [solve_linear(self, target) if known[0] is None else None]

    def prepare(self, device: torch.device, dtype: torch.dtype) -> None:
        super().prepare(device, dtype)
        if device.type != "meta":
            self.numbers.get(dtype, device)


@final
class FastFood(Node):
    """S H G Π H B, block below block, times a vector that is filled up with zeros (Le, Sarlos & Smola 2013).

    Args:
        cells: how many the value has; what the last block has more is cut.
        operand: the vector.
        recipe: makes B, Π, G, S, each [blocks, p], and the Hadamard matrices [a, a], [b, b] with a · b = p.
    """

    def __init__(self, cells: int, operand: Node, recipe: Recipe) -> None:
        super().__init__((cells,), (operand,))
        self.numbers = FixedNumbers(recipe)

    def forward(self, inputs: Inputs) -> Tensor:
        vector = self.operands[0].forward(inputs)
        if vector.device.type == "meta":
            return vector.sum().expand(self.shape)
        signs, order, normal, scale, left, right = self.numbers.get(vector.dtype, vector.device)
        padded = torch.nn.functional.pad(vector, (0, signs.shape[1] - len(vector)))
        mixed = _transform(signs * padded, left, right).gather(1, order)
        return (scale * _transform(normal * mixed, left, right)).reshape(-1)[: self.shape[0]]

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        return [solve_linear(self, target) if known[0] is None else None]

    def prepare(self, device: torch.device, dtype: torch.dtype) -> None:
        super().prepare(device, dtype)
        if device.type != "meta":
            self.numbers.get(dtype, device)

    def multiply_adds(self) -> int:
        size = 1 << (self.operands[0].shape[0] - 1).bit_length()
        half = size.bit_length() // 2
        blocks = -(-self.shape[0] // size)
        return 2 * blocks * size * ((1 << half) + size // (1 << half)) + super().multiply_adds()


def _transform(rows: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Each row times the Hadamard matrix left ⊗ right."""
    folded = rows.reshape(len(rows), len(left), len(right))
    return (left @ folded @ right).reshape(rows.shape)


def solve_linear(node: SparseProduct | FastFood, target: Tensor) -> Tensor:
    """The vector whose product is nearest to `target`: the matrix is written out for it."""
    (size,) = node.operands[0].shape
    own = type(node)(node.shape[0], Ref((size,), 0), node.numbers.recipe)
    units = torch.eye(size, dtype=target.dtype, device=target.device)
    matrix = torch.stack([own.forward(Inputs([unit])) for unit in units], 1)
    return invert(matrix) @ target
