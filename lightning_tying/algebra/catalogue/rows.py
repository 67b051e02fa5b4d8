"""`rows`: rows, or blocks of rows, of one table by a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import final

from lightning_tying.algebra.catalogue.shape_rules import need_dimensions, need_whole, one_size, share_other_sizes
from lightning_tying.algebra.expression import FileMap, IndexMap
from lightning_tying.algebra.maps.index_maps import check_entries, check_names, count_values, has_holes
from lightning_tying.algebra.partial_shapes import Partial, Shapes, meet, whole
from lightning_tying.algebra.primitives.gather import Gather
from lightning_tying.algebra.primitives.indices import PickedRows, RowsWithHoles
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Rows(Transform):
    """`rows(x, map, block=1)`: block j of the value is block map[j] of x; a hole of a row map's member is zeros."""

    def __init__(self, map: IndexMap, block: int = 1) -> None:
        self.map = map
        self.block = need_whole("rows", "block", block, 1)

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        need_dimensions("rows", shapes.value, 1, site, more=True)
        need_dimensions("rows", shapes.operands[0], 1, site, more=True, operand=shapes.name(0))
        value, operand = share_other_sizes((shapes.value, *shapes.operands), 0, "rows", site)
        if value is None:
            return replace(shapes, value=value, operands=(operand,))
        if value[0] is not None:
            self._check_rows(value[0], site)
        elif isinstance(self.map, FileMap) and len(self.map.shape) == 1:
            value = meet(value, one_size(len(value), 0, self.map.shape[0] * self.block))
        return replace(shapes, value=value, operands=(operand,))

    def _check_rows(self, rows: int, site: str) -> None:
        """Refuse what does not fit a number of rows; a map that cannot be read is told before sizes are chosen."""
        if rows % self.block:
            raise Mistake("66", f"rows at {site}: {rows} is not a multiple of {self.block}.")
        unit = "row" if self.block == 1 else f"block of {self.block} rows"
        check_entries(self.map, (rows // self.block,), site, unit)
        count_values(self.map, (rows // self.block,))

    def least(self, shapes: Shapes, site: str) -> tuple[Partial, ...]:
        del site
        value, (operand,) = shapes.value, shapes.operands
        if operand is None or not value or value[0] is None:
            return (None,)
        count = count_values(self.map, (value[0] // self.block,))
        return (one_size(len(operand), 0, count * self.block),)

    def check(self, shapes: Shapes, site: str) -> None:
        rows, stored = whole(shapes.value)[0], whole(shapes.operands[0])[0]
        self._check_rows(rows, site)
        unit = "row" if self.block == 1 else f"block of {self.block} rows"
        holes = self.block == 1 and has_holes(self.map)
        check_names(self.map, (rows // self.block,), shapes.name(0), stored // self.block, unit, holes=holes)

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        shape = whole(shapes.value)
        if self.block == 1 and has_holes(self.map):
            return Gather(shape, operands[0], RowsWithHoles(self.map, shape[0]))
        return Gather(shape, operands[0], PickedRows(self.map, shape[0] // self.block, self.block))
