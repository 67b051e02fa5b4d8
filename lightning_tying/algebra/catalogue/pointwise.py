"""`normalize`, `softmax`, `tanh`, `sigmoid`, `exp`: functions whose value has the shape of their argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from lightning_tying.algebra.catalogue.matrix_view import find_dimension
from lightning_tying.algebra.partial_shapes import Shapes, meet, whole
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.pointwise import Function, Pointwise
from lightning_tying.algebra.transform import Transform


class Elementwise(Transform):
    """A function of one tensor with a value of the same shape, without arguments."""

    function: ClassVar[Function]

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        del site
        shape = meet(shapes.value, shapes.operands[0])
        return Shapes(shape, (shape,), shapes.own, shapes.names)

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, shapes, key
        return Pointwise(self.function, operands[0])

    def operand_init(self, place: int) -> str | None:
        del place
        return "normal"


@final
class Tanh(Elementwise):
    """`tanh(x)`."""

    function: ClassVar[Function] = "tanh"


@final
class Sigmoid(Elementwise):
    """`sigmoid(x)`."""

    function: ClassVar[Function] = "sigmoid"


@final
class Exp(Elementwise):
    """`exp(x)`."""

    function: ClassVar[Function] = "exp"


@final
class Softmax(Elementwise):
    """`softmax(x, dim=-1)`."""

    function: ClassVar[Function] = "softmax"

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def check(self, shapes: Shapes, site: str) -> None:
        find_dimension("softmax", self.dim, whole(shapes.value), site)

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, shapes, key
        return Pointwise(self.function, operands[0], dim=self.dim)


@final
class Normalize(Elementwise):
    """`normalize(x, dim=0)`: every slice along `dim` has norm 1."""

    function: ClassVar[Function] = "normalize"

    def __init__(self, dim: int = 0) -> None:
        self.dim = dim

    def check(self, shapes: Shapes, site: str) -> None:
        find_dimension("normalize", self.dim, whole(shapes.value), site)

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, shapes, key
        return Pointwise(self.function, operands[0], dim=self.dim)

    def operand_init(self, place: int) -> None:
        del place
