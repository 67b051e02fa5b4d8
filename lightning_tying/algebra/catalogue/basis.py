"""`basis`: the rows of a site as combinations of shared rows (Basis Sharing; Wang et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import torch
from torch import Tensor

from lightning_tying.algebra.catalogue.matrix_view import as_matrix
from lightning_tying.algebra.catalogue.scale import LETTERS
from lightning_tying.algebra.catalogue.stacked import split_rows, split_stack, unwhiten
from lightning_tying.algebra.partial_shapes import Shapes, meet, whole
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.transform import OwnParameter, Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Basis(Transform):
    """`basis(x, r)`: v = C x, with the shared basis x [r, rest of v] and coefficients C [v[0], r] of the site."""

    brings: ClassVar[tuple[OwnParameter, ...]] = (OwnParameter("C", "solved"),)

    def __init__(self, r: int) -> None:
        self.r = r

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        del site
        (x,), (c,) = shapes.operands, shapes.own
        value = shapes.value
        if x:
            value = meet(value, (None, *x[1:]))
        if value and c:
            value = meet(value, (c[0], *value[1:])) or value
        if value:
            x = meet(x, (self.r, *value[1:]))
        c = meet(c, (value[0] if value else None, self.r))
        return Shapes(value, (x,), (c,), shapes.names)

    def check(self, shapes: Shapes, site: str) -> None:
        if self.r < 1:
            raise Mistake("64", f"Rank {self.r} is less than 1 at {site}. Write basis({shapes.name(0)}, 1)")
        if not whole(shapes.value):
            raise Mistake("63", f"basis needs one dimension; {site} is [].")

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del key
        rest = LETTERS[: len(whole(shapes.value)) - 1]
        return Einsum(f"yz,z{rest}->y{rest}", (own[0], operands[0]))

    def solve_joint(
        self, targets: Sequence[Tensor], shapes: Shapes, whitening: Tensor | None
    ) -> tuple[Tensor, Sequence[Tensor]] | None:
        """The SVD of the sites, one below the other: C = U, x = Σ Vᵀ; with L, of (stack · L), and x = Σ Vᵀ L⁻¹."""
        shape = whole(shapes.value)
        stack = torch.cat([target.reshape(as_matrix(tuple(target.shape))) for target in targets])
        if whitening is not None:
            stack = stack @ whitening.to(stack)
        coefficients, directions = split_stack(stack, self.r)
        if whitening is not None:
            directions = unwhiten(directions, whitening)
        parts = split_rows(coefficients, [len(target) for target in targets])
        return directions.reshape(self.r, *shape[1:]), parts
