"""A map that is a scalar in; its number for every cell out, all reckoned at once."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import reduce
from typing import TypeAlias

import torch
from torch import Tensor

from lightning_tying.algebra.expression import ScalarMap, Shape
from lightning_tying.algebra.maps.hashed_numbers import hash_cells
from lightning_tying.algebra.maps.intervals import bound_map
from lightning_tying.algebra.maps.map_scalars import Number, Reckoning, evaluate_map
from lightning_tying.spec.mistakes import Mistake, quote_text

Operation: TypeAlias = Callable[[Tensor, Tensor], Tensor]
_ARITHMETIC: dict[type[ast.operator], Operation] = {
    ast.Add: torch.add,
    ast.Sub: torch.sub,
    ast.Mult: torch.mul,
    ast.Div: torch.div,
    ast.FloorDiv: torch.floor_divide,
    ast.Mod: torch.remainder,
    ast.Pow: torch.pow,
}
_COMPARISONS: dict[type[ast.cmpop], Operation] = {
    ast.Eq: torch.eq,
    ast.NotEq: torch.ne,
    ast.Lt: torch.lt,
    ast.LtE: torch.le,
    ast.Gt: torch.gt,
    ast.GtE: torch.ge,
}


def number_cells(scalar_map: ScalarMap, shape: Shape) -> Tensor:
    """What a map names in each cell.

    Args:
        scalar_map: its text, with the words of its site.
        shape: of what has these cells.

    Returns:
        int64 of that shape on the CPU; not to be written to, cells may share memory.

    Raises:
        Mistake: 46, 48, 49, 50, 57.
    """
    bound_map(scalar_map, shape)  # what torch would not notice: real numbers, and whole ones that wrap round
    with torch.inference_mode(False), torch.no_grad(), torch.device("cpu"):
        return evaluate_map(scalar_map, shape, CellReckoning(len(shape))).expand(shape)


class CellReckoning(Reckoning[Tensor]):
    """Arithmetic on int64 and float64 tensors that are broadcast: `i0 // 4` costs one number for each row."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions

    def constant(self, number: Number) -> Tensor:
        return torch.tensor(number, dtype=torch.int64 if isinstance(number, int) else torch.float64)

    def coordinate(self, dim: int, size: int) -> Tensor:
        return torch.arange(size).view([size if place == dim else 1 for place in range(self.dimensions)])

    def operate(self, left: Tensor, right: Tensor, node: ast.BinOp) -> Tensor:
        left, right = _alike(left, right)
        if isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Mod)) and bool((right == 0).any()):
            raise Mistake("49", f"{quote_text(ast.unparse(node))} divides by zero.")
        if isinstance(node.op, ast.Div):
            left, right = left.double(), right.double()
        return _ARITHMETIC[type(node.op)](left, right)

    def negate(self, operand: Tensor) -> Tensor:
        return -operand

    def compare(self, left: Tensor, right: Tensor, op: ast.cmpop) -> Tensor:
        left, right = _alike(left, right)
        return _COMPARISONS[type(op)](left, right).long()

    def choose(self, values: Sequence[Tensor], function: str) -> Tensor:
        choose = torch.minimum if function == "min" else torch.maximum
        return reduce(lambda one, other: choose(*_alike(one, other)), values)

    def round(self, value: Tensor, function: str) -> Tensor:
        if not value.is_floating_point():
            return value
        return (value.floor() if function == "floor" else value.ceil()).long()

    def hash(self, values: Sequence[Tensor | str], node: ast.Call) -> Tensor:
        del node
        return hash_cells(*values)


def _alike(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Both whole, or both real: torch would take a whole and a real number to float32."""
    if left.dtype == right.dtype:
        return left, right
    return left.double(), right.double()
