"""`tt`: a table as a chain of small cores (Khrulkov et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, final

import torch
from torch import Tensor

from lightning_tying.algebra.catalogue.matrix_view import check_matrix
from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.fits.linear_algebra import cut_svd, norm
from lightning_tying.algebra.partial_shapes import Shapes, meet, whole
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.reshaping import reshape_node
from lightning_tying.algebra.transform import Known, Solution, Transform
from lightning_tying.spec.mistakes import Mistake


@final
class TensorTrain(Transform):
    """`tt(G, rows, cols, rank)`: the operands are the cores G[…, j] [r, rowsⱼ, colsⱼ, r], with r = 1 at both ends."""

    operands: ClassVar[tuple[str, ...]] = ("G", "…")

    def __init__(self, rows: tuple[int, ...], cols: tuple[int, ...], rank: int) -> None:
        self.rows = rows
        self.cols = cols
        self.rank = rank

    def cores(self) -> tuple[Shape, ...]:
        """The shapes of the cores."""
        last = len(self.rows) - 1
        return tuple(
            (1 if place == 0 else self.rank, row, col, 1 if place == last else self.rank)
            for place, (row, col) in enumerate(zip(self.rows, self.cols, strict=True))
        )

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        self._check_lists(site)
        value = shapes.value
        if value is None or len(value) == 2:
            if value is not None and value[1] is not None and value[1] != prod(self.cols):
                raise Mistake("67", f"tt at {site}: {_written('cols', self.cols)} is not {value[1]}.")
            value = meet(value, (None, prod(self.cols)))
        operands = tuple(meet(one, other) for one, other in zip(shapes.operands, self.cores(), strict=True))
        return Shapes(value, operands, shapes.own, shapes.names)

    def _check_lists(self, site: str) -> None:
        numbers = (*self.rows, *self.cols, self.rank)
        if len(self.rows) != len(self.cols) or not self.rows:
            raise Mistake("67", f"tt at {site}: rows has {len(self.rows)} numbers and cols {len(self.cols)}.")
        if any(number < 1 for number in numbers):
            raise Mistake("67", f"tt at {site}: rows, cols and rank are numbers of 1 or more, not {min(numbers)}.")

    def check(self, shapes: Shapes, site: str) -> None:
        check_matrix("tt", shapes, site)
        rows = whole(shapes.value)[0]
        if prod(self.rows) < rows:
            raise Mistake("67", f"tt at {site}: {_written('rows', self.rows)} is less than {rows}.")

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        value = whole(shapes.value)
        rows, cols = self.rows[0], self.cols[0]
        chain: Node = reshape_node(operands[0], (rows, cols, operands[0].shape[3]))
        for core, row, col in zip(operands[1:], self.rows[1:], self.cols[1:], strict=True):
            rows, cols = rows * row, cols * col
            chain = reshape_node(Einsum("abr,rcds->acbds", (chain, core)), (rows, cols, core.shape[3]))
        return reshape_node(chain, value)

    def operand_init(self, place: int) -> str:
        del place
        return "variance"

    def solve(self, target: Tensor, known: Known, shapes: Shapes, key: str) -> Solution | None:
        """TT-SVD (Oseledets 2011) of the table, its cut rows taken as 0; only where all cores are open."""
        del shapes, key
        if any(core is not None for core in known.operands):
            return None
        table = target.new_zeros(prod(self.rows), target.shape[1])
        table[: len(target)] = target
        count = len(self.rows)
        pairs = [place for j in range(count) for place in (j, count + j)]
        rest = table.reshape(*self.rows, *self.cols).permute(pairs).reshape(1, -1)
        cores: list[Tensor] = []
        for left, row, col, right in self.cores()[:-1]:
            u, s, v = cut_svd(rest.reshape(left * row * col, -1), right)
            cores.append(u.reshape(left, row, col, right))
            rest = s[:, None] * v
        cores.append(rest.reshape(self.cores()[-1]))
        return Solution(tuple(_balance(cores)), ())


def _balance(cores: Sequence[Tensor]) -> list[Tensor]:
    """The same product with cores of equal norm, so that no core learns much faster than another."""
    sizes = [norm(core) for core in cores]
    mean = torch.stack(sizes).log().mean().exp()
    return list(cores) if not mean > 0 else [core * (mean / size) for core, size in zip(cores, sizes, strict=True)]


def _written(name: str, numbers: Sequence[int]) -> str:
    """`rows 3·4 = 12`."""
    return f"{name} {'·'.join(str(number) for number in numbers)} = {prod(numbers)}"
