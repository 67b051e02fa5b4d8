"""`scale`: a tensor times one number, or each of its slices times one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import torch
from torch import Tensor

from lightning_tying.algebra.catalogue.matrix_view import find_dimension
from lightning_tying.algebra.fits.linear_algebra import norm
from lightning_tying.algebra.partial_shapes import Shapes, meet, open_shape, replace_at, whole
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.transform import Known, OwnParameter, Solution, Transform
from lightning_tying.spec.mistakes import Mistake

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@final
class Scale(Transform):
    """`scale(x, dim=None)`: x times s, where s is one number, or one for each slice along `dim`."""

    brings: ClassVar[tuple[OwnParameter, ...]] = (OwnParameter("s", "ones"),)

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        value = meet(shapes.value, shapes.operands[0])
        own = shapes.own[0]
        if self.dim is None:
            return Shapes(value, (value,), (meet(own, ()),), shapes.names)
        own = meet(own, open_shape(1)) or (None,)
        if value is not None and not -len(value) <= self.dim < len(value):
            raise Mistake("63", f"scale needs a dimension {self.dim}; {site} has {len(value)}.")
        if value is not None:
            own = meet(own, (value[self.dim],)) or own
            value = replace_at(value, self.dim, own[0])
        return Shapes(value, (value,), (own,), shapes.names)

    def check(self, shapes: Shapes, site: str) -> None:
        if self.dim is not None:
            find_dimension("scale", self.dim, whole(shapes.value), site)

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del key
        letters = LETTERS[: len(whole(shapes.value))]
        along = "" if self.dim is None else letters[self.dim]
        return Einsum(f"{along},{letters}->{letters}", (*own, *operands))

    def solve(self, target: Tensor, known: Known, shapes: Shapes, key: str) -> Solution | None:
        """`match`: s = ‖site‖ / ‖x‖, slice by slice with `dim`; with s, x = site / s; with neither, x = site, s = 1."""
        del key
        x = known.operands[0]
        if known.own[0] is not None:
            return None
        if x is None:
            return Solution((target,), (target.new_ones(whole(shapes.own[0])),))
        dim = None if self.dim is None else self.dim % target.ndim
        others = [place for place in range(target.ndim) if place != dim]
        norms = [norm(tensor, others) if others else tensor.abs() for tensor in (target, x.to(target))]
        found = torch.where(norms[1] == 0, torch.ones_like(norms[0]), norms[0] / norms[1])
        return Solution((None,), (found,))
