"""`kron`: the Kronecker product of two matrices, or a sum of such products (PHM; Mahabadi et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from lightning_tying.algebra.catalogue.matrix_view import check_matrix
from lightning_tying.algebra.partial_shapes import Partial, Shapes, meet, open_shape, whole
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.reshaping import reshape_node
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Kron(Transform):
    """`kron(x, y)`: x [a, b] and y [c, d] make [ac, bd]; x [n, a, b] and y [n, c, d] the sum over n."""

    operands: ClassVar[tuple[str, ...]] = ("x", "y")

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        x, y = shapes.operands
        for one, other in ((x, y), (y, x)):
            if one is not None and len(one) not in (2, 3):
                raise Mistake("68", f"kron at {site}: a matrix, or a stack of them, is wanted; {list(one)} is none.")
            if one is not None and other is None:
                x, y = meet(x, open_shape(len(one))), meet(y, open_shape(len(one)))
        if x is None or y is None or shapes.value is None or len(shapes.value) != 2:
            return Shapes(shapes.value, (x, y), shapes.own, shapes.names)
        if len(x) == 3:
            x, y = _share_stack(x, y), _share_stack(y, x)
        value = shapes.value
        for dim in (0, 1):
            sizes = _multiply(x[dim - 2], y[dim - 2], value[dim], dim, site)
            x = meet(x, _put(x, dim, sizes[0])) or x
            y = meet(y, _put(y, dim, sizes[1])) or y
            value = meet(value, (sizes[2], None) if dim == 0 else (None, sizes[2])) or value
        return Shapes(value, (x, y), shapes.own, shapes.names)

    def check(self, shapes: Shapes, site: str) -> None:
        check_matrix("kron", shapes, site)

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        formula = "ab,cd->acbd" if len(operands[0].shape) == 2 else "nab,ncd->acbd"
        return reshape_node(Einsum(formula, operands), whole(shapes.value))

    def operand_init(self, place: int) -> str:
        del place
        return "variance"


def _share_stack(one: tuple[int | None, ...], other: tuple[int | None, ...]) -> tuple[int | None, ...]:
    return meet(one, (other[0], None, None)) or one


def _put(shape: tuple[int | None, ...], dim: int, size: int | None) -> Partial:
    sizes: list[int | None] = [None] * len(shape)
    sizes[dim - 2] = size
    return tuple(sizes)


def _multiply(
    left: int | None, right: int | None, product: int | None, dim: int, site: str
) -> tuple[int | None, int | None, int | None]:
    """Two of left · right = product give the third.

    Raises:
        Mistake: 68, the product is no multiple.
    """
    if left is not None and right is not None and product is None:
        return left, right, left * right
    known = left if left is not None else right
    if product is None or known is None:
        return left, right, product
    other = right if left is not None else left
    if known == 0 or product % known or (other is not None and known * other != product):
        size = known if known == 0 or product % known else known * (other or 1)
        raise Mistake("68", f"kron at {site}: {product} is not a multiple of {size} (d{dim}).")
    return left if left is not None else product // known, right if right is not None else product // known, product
