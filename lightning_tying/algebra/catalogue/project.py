"""`project`: a fixed random map from a small vector to the site (Li et al. 2018; Aghajanyan et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, final

from lightning_tying.algebra.maps.fixed_entries import DenseProjection, FastFoodFactors, SparseProjection
from lightning_tying.algebra.partial_shapes import Shapes, meet, open_shape, whole
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.fixed import Fixed
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.projections import FastFood, SparseProduct
from lightning_tying.algebra.primitives.reshaping import reshape_node
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import suggest

KINDS = ("dense", "sparse", "fastfood")


@final
class Project(Transform):
    """`project(x, seed=0, kind='dense')`: P x / √D, where P depends on the seed and the key alone.

    Args:
        seed: any whole number.
        kind: `dense`, `sparse` or `fastfood`.
        cells: D, the cells of all sites that read x so; None: of this one.
    """

    fixed_map: ClassVar[bool] = True

    def __init__(self, seed: int = 0, kind: str = "dense", cells: int | None = None) -> None:
        self.seed = seed
        self.kind = kind
        self.cells = cells

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        del site
        return Shapes(shapes.value, (meet(shapes.operands[0], open_shape(1)),), shapes.own, shapes.names)

    def check(self, shapes: Shapes, site: str) -> None:
        if self.kind not in KINDS:
            known = ", ".join(KINDS)
            raise Mistake("44", f"project has no kind `{self.kind}`.{suggest(self.kind, KINDS)} Known: {known}.")
        if whole(shapes.operands[0])[0] < 1:
            raise Mistake("70", f"project at {site}: {shapes.name(0)} has no cells.")

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own
        value = whole(shapes.value)
        cells, (size,) = prod(value), operands[0].shape
        sizes = (self.seed, key, cells, size, self.cells or cells)
        if self.kind == "dense":
            fixed = Fixed((cells, size), DenseProjection(*sizes))
            return reshape_node(Einsum("cn,n->c", (fixed, operands[0])), value)
        if self.kind == "sparse":
            return reshape_node(SparseProduct(cells, operands[0], SparseProjection(*sizes)), value)
        return reshape_node(FastFood(cells, operands[0], FastFoodFactors(*sizes)), value)

    def operand_init(self, place: int) -> str:
        del place
        return "zeros"
