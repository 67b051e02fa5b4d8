"""`gather` and `mask`: single cells of a vector by a map, and a parameter of which some cells are 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import final

from lightning_tying.algebra.expression import FileMap, IndexMap
from lightning_tying.algebra.maps.index_maps import (
    check_binary,
    check_entries,
    check_names,
    check_readable,
    count_values,
)
from lightning_tying.algebra.partial_shapes import Partial, Shapes, is_whole, meet, open_shape, whole
from lightning_tying.algebra.primitives.gather import Gather
from lightning_tying.algebra.primitives.indices import Masked, PickedCells
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake


def meet_map(value: Partial, index_map: IndexMap, site: str) -> Partial:
    """The value's shape with what a file says, which has an entry for each of its cells.

    Raises:
        Mistake: 77.
    """
    if not isinstance(index_map, FileMap):
        return value
    if is_whole(value):
        check_entries(index_map, whole(value), site)
    return meet(value, index_map.shape)


@final
class GatherCells(Transform):
    """`gather(x, map, outside=None)`: each cell of the value is cell map[…] of the vector x.

    A number outside of x reads the constant `outside`; without one it is a mistake (75).
    """

    def __init__(self, map: IndexMap, outside: float | None = None) -> None:
        if isinstance(outside, (bool, str)):
            raise Mistake("48", f"gather: outside is {outside!r}, not a number.")
        self.map = map
        self.outside = outside

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        value = meet_map(shapes.value, self.map, site)
        if self.outside is None and is_whole(value):
            count_values(self.map, whole(value))  # a map that cannot be read is told before sizes are chosen
        return replace(shapes, value=value, operands=(meet(shapes.operands[0], open_shape(1)),))

    def least(self, shapes: Shapes, site: str) -> tuple[Partial, ...]:
        del site
        if self.outside is not None or not is_whole(shapes.value):
            return (None,)
        return ((count_values(self.map, whole(shapes.value)),),)

    def check(self, shapes: Shapes, site: str) -> None:
        value, (size,) = whole(shapes.value), whole(shapes.operands[0])
        check_entries(self.map, value, site)
        if self.outside is None:
            check_names(self.map, value, shapes.name(0), size, "cell")
        else:
            check_readable(self.map, value)

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        shape, (size,) = whole(shapes.value), whole(shapes.operands[0])
        return Gather(shape, operands[0], PickedCells(self.map, shape, size, self.outside))


@final
class Mask(Transform):
    """`mask(x, map)`: x times a map of 0 and 1 (Mallya & Lazebnik 2018; Mallya et al. 2018)."""

    def __init__(self, map: IndexMap) -> None:
        self.map = map

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        both = meet_map(meet(shapes.value, shapes.operands[0]), self.map, site)
        return replace(shapes, value=both, operands=(both,))

    def check(self, shapes: Shapes, site: str) -> None:
        check_entries(self.map, whole(shapes.value), site)
        check_binary(self.map, whole(shapes.value))

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        shape = whole(shapes.value)
        return Gather(shape, operands[0], Masked(self.map, shape))
