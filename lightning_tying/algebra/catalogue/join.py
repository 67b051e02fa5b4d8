"""`concat`: parameters one after the other; open parts take equal shares of what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, final

from lightning_tying.algebra.catalogue.shape_rules import find_dimension, need_whole, share_other_sizes, write_names
from lightning_tying.algebra.partial_shapes import Shapes, replace_at, whole
from lightning_tying.algebra.primitives import concat
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Concat(Transform):
    """`concat(x, y, …, dim=0)`."""

    operands: ClassVar[tuple[str, ...]] = ("x", "…")

    def __init__(self, dim: int = 0) -> None:
        self.dim = need_whole("concat", "dim", dim)

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        value, *operands = share_other_sizes((shapes.value, *shapes.operands), self.dim, "concat", site)
        if value is None:
            return shapes
        dim = find_dimension("concat", self.dim, value, site)
        total, parts = self._share(value[dim], [None if part is None else part[dim] for part in operands], shapes, site)
        return replace(
            shapes, value=replace_at(value, dim, total), operands=tuple(replace_at(value, dim, part) for part in parts)
        )

    def _share(
        self, total: int | None, parts: list[int | None], shapes: Shapes, site: str
    ) -> tuple[int | None, list[int | None]]:
        """The sum from all parts, or the last open part from the sum."""
        known = sum(part for part in parts if part is not None)
        unknown = [place for place, part in enumerate(parts) if part is None]
        if not unknown:
            if total is not None and total != known:
                text = f"concat at {site}: {' + '.join(map(str, parts))} is {known}, not {total}."
                raise Mistake("65", f"{text} Declare the shapes of {_name(shapes, range(len(parts)))}.")
            return known, parts
        if total is None or len(unknown) > 1:
            return total, parts
        return total, _fill(total, parts, unknown, shapes, site)

    def divide(self, shapes: Shapes, site: str) -> Shapes:
        """Equal shares of the rest for the parts that are open.

        Raises:
            Mistake: 65, the rest does not divide.
        """
        value = shapes.value
        if value is None:
            return shapes
        dim = find_dimension("concat", self.dim, value, site)
        total, parts = value[dim], [None if part is None else part[dim] for part in shapes.operands]
        unknown = [place for place, part in enumerate(parts) if part is None]
        if total is None or not unknown:
            return shapes
        filled = _fill(total, parts, unknown, shapes, site)
        return replace(shapes, value=value, operands=tuple(replace_at(value, dim, part) for part in filled))

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, key
        shape = whole(shapes.value)
        return concat.Concat(shape, operands, self.dim % len(shape))


def _fill(
    total: int, parts: Sequence[int | None], unknown: Sequence[int], shapes: Shapes, site: str
) -> list[int | None]:
    known = sum(part for part in parts if part is not None)
    rest, names = total - known, _name(shapes, unknown)
    if rest < len(unknown):
        raise Mistake("65", f"concat at {site}: {total} leaves nothing for {names}; the other parts take {known}.")
    if rest % len(unknown):
        text = f"concat at {site}: {rest} does not divide by {len(unknown)}."
        raise Mistake("65", f"{text} Declare the shapes of {names}.")
    return [rest // len(unknown) if part is None else part for part in parts]


def _name(shapes: Shapes, places: Sequence[int]) -> str:
    return write_names([shapes.name(place) for place in places])
