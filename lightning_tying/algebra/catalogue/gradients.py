"""`stop` and `scale_grad`: the values as they are, with another gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from lightning_tying.algebra.partial_shapes import Shapes, meet
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.pointwise import Pointwise
from lightning_tying.algebra.transform import Transform


class _SameShape(Transform):
    def infer(self, shapes: Shapes, site: str) -> Shapes:
        del site
        shape = meet(shapes.value, shapes.operands[0])
        return Shapes(shape, (shape,), shapes.own, shapes.names)


@final
class Stop(_SameShape):
    """`stop(x)`: the gradient is dropped."""

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, shapes, key
        return Pointwise("stop", operands[0])


@final
class ScaleGrad(_SameShape):
    """`scale_grad(x, a)`: the gradient is multiplied by a."""

    def __init__(self, a: float) -> None:
        self.a = a

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, shapes, key
        return Pointwise("scale_grad", operands[0], factor=self.a)
