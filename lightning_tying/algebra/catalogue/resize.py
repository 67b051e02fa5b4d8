"""`resize`: a tensor stretched to the site by bilinear interpolation (Plummer et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import final

from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.maps.fixed_entries import Interpolation
from lightning_tying.algebra.partial_shapes import Shapes, is_whole, meet, open_shape, whole
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.fixed import Fixed
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.reshaping import reshape_node
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Resize(Transform):
    """`resize(x, shape=None)`: […, a, b] to […, o, rest], from a × b to o × numel(rest), `align_corners` off.

    Args:
        shape: how the first cells of x are read; None: x as it is.
    """

    def __init__(self, shape: tuple[int, ...] | None = None) -> None:
        self.shape = shape

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        x, value = shapes.operands[0], shapes.value
        source = self.shape if self.shape is not None else x
        if source is None or value is None:
            return shapes
        leading = len(source) - 2
        if leading < 0 or len(value) < leading + 1:
            raise Mistake("63", f"resize at {site}: {list(source)} cannot be stretched to {list(value)}.")
        value = meet(value, (*source[:leading], *(open_shape(len(value) - leading) or ())))
        if self.shape is None and value is not None:
            x = meet(x, (*value[:leading], None, None))
        return Shapes(value, (x,), shapes.own, shapes.names)

    def check(self, shapes: Shapes, site: str) -> None:
        cells = prod(whole(shapes.operands[0]))
        if self.shape is not None and (prod(self.shape) > cells or min(self.shape, default=0) < 1):
            text = f"resize at {site}: {shapes.name(0)} has {cells} cells, less than {_written(self.shape)}."
            raise Mistake("70", text)
        if prod(self._source(shapes)) < 1:
            raise Mistake("70", f"resize at {site}: {shapes.name(0)} has no cells.")

    def _source(self, shapes: Shapes) -> Shape:
        return self.shape if self.shape is not None else whole(shapes.operands[0])

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        source, value = self._source(shapes), whole(shapes.value)
        *leading, a, b = source
        place = len(leading)
        out, rest = value[place], prod(value[place + 1 :])
        x = reshape_node(operands[0], (prod(leading), a, b))
        rows, columns = Fixed((out, a), Interpolation(a, out)), Fixed((rest, b), Interpolation(b, rest))
        return reshape_node(Einsum("oa,lab,rb->lor", (rows, x, columns)), value)

    def operand_init(self, place: int) -> str:
        del place
        return "normal"


def _written(shape: Shape) -> str:
    return f"{' × '.join(str(size) for size in shape)} = {prod(shape)}" if is_whole(shape) else str(shape)
