"""`vera`: fixed random matrices between two learned vectors (Kopiczko et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from lightning_tying.algebra.catalogue.matrix_view import as_matrix, check_two_dimensions, known_matrix
from lightning_tying.algebra.maps.fixed_entries import VeraMatrix
from lightning_tying.algebra.partial_shapes import Shapes, meet, whole
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.fixed import Fixed
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.reshaping import reshape_node
from lightning_tying.algebra.transform import OwnParameter, Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Vera(Transform):
    """`vera(r, seed=0)`: diag(b) B diag(d) A; A [r, m₁] and B [m₀, r] follow from the seed alone, cut to size."""

    operands: ClassVar[tuple[str, ...]] = ()
    brings: ClassVar[tuple[OwnParameter, ...]] = (OwnParameter("d", "constant(0.1)"), OwnParameter("b", "zeros"))
    fixed_map: ClassVar[bool] = True

    def __init__(self, r: int, seed: int = 0) -> None:
        self.r = r
        self.seed = seed

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        del site
        rows, _ = known_matrix(shapes.value)
        return Shapes(shapes.value, (), (meet(shapes.own[0], (self.r,)), meet(shapes.own[1], (rows,))), shapes.names)

    def check(self, shapes: Shapes, site: str) -> None:
        check_two_dimensions("vera", shapes, site)
        if self.r < 1:
            raise Mistake("64", f"Rank {self.r} is less than 1 at {site}. Write vera(1)")

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del operands, key
        rows, columns = as_matrix(whole(shapes.value))
        left = Fixed((rows, self.r), VeraMatrix(self.seed, "B", rows, self.r))
        right = Fixed((self.r, columns), VeraMatrix(self.seed, "A", self.r, columns))
        d, b = own
        return reshape_node(Einsum("o,or,r,ri->oi", (b, left, d, right)), whole(shapes.value))
