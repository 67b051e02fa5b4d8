"""`diag`: a matrix with a vector on its main diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import final

from lightning_tying.algebra.catalogue.shape_rules import need_dimensions
from lightning_tying.algebra.partial_shapes import Shapes, is_whole, meet, open_shape, whole
from lightning_tying.algebra.primitives.gather import Gather
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.views import OnDiagonal
from lightning_tying.algebra.transform import Transform


@final
class Diag(Transform):
    """`diag(x)`: x is as long as the shorter side of the value (Wang & Li 2024)."""

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        need_dimensions("diag", shapes.value, 2, site)
        value = meet(shapes.value, open_shape(2))
        length = min(whole(value)) if is_whole(value) else None
        return replace(shapes, value=value, operands=(meet(shapes.operands[0], (length,)),))

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        shape = whole(shapes.value)
        return Gather(shape, operands[0], OnDiagonal(shape))
