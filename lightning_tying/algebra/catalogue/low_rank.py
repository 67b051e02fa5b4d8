"""`low_rank`: a product of two thin matrices of the site's own (LoRA; Hu et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from torch import Tensor

from lightning_tying.algebra.catalogue.matrix_view import as_matrix, check_two_dimensions, known_matrix
from lightning_tying.algebra.fits.linear_algebra import cut_svd
from lightning_tying.algebra.partial_shapes import Shapes, meet, whole
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.reshaping import reshape_node
from lightning_tying.algebra.transform import Known, OwnParameter, Solution, Transform
from lightning_tying.spec.mistakes import Mistake


@final
class LowRank(Transform):
    """`low_rank(r)`: B A read in the site's shape, with A [r, m₁] and B [m₀, r]."""

    operands: ClassVar[tuple[str, ...]] = ()
    brings: ClassVar[tuple[OwnParameter, ...]] = (OwnParameter("A", "kaiming_uniform"), OwnParameter("B", "zeros"))

    def __init__(self, r: int) -> None:
        self.r = r

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        del site
        rows, columns = known_matrix(shapes.value)
        a = meet(shapes.own[0], (self.r, columns))
        b = meet(shapes.own[1], (rows, self.r))
        value = shapes.value
        if value is not None and len(value) == 2 and a is not None and b is not None:
            value = meet(value, (b[0], a[1]))
        return Shapes(value, (), (a, b), shapes.names)

    def check(self, shapes: Shapes, site: str) -> None:
        check_two_dimensions("low_rank", shapes, site)
        smaller = min(as_matrix(whole(shapes.value)))
        if not 1 <= self.r <= smaller:
            fault = f"is more than {smaller}, the smaller side of {site}" if self.r > 0 else "is less than 1"
            sides = "d0, d1" if len(whole(shapes.value)) == 2 else "d0, numel // d0"
            raise Mistake("64", f"Rank {self.r} {fault}. Write low_rank(min({max(self.r, 1)}, {sides}))")

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del operands, key
        return reshape_node(Einsum("or,ri->oi", (own[1], own[0])), whole(shapes.value))

    def solve(self, target: Tensor, known: Known, shapes: Shapes, key: str) -> Solution | None:
        """`svd`: B = U Σ and A = Vᵀ, cut at r; with one of them settled, the other by least squares."""
        del key
        if any(own is not None for own in known.own):
            return None
        u, s, v = cut_svd(target.reshape(as_matrix(whole(shapes.value))), self.r)
        return Solution((), (v, u * s))
