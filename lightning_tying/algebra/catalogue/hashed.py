"""`hashed`: every cell of the value is a cell of one pool, by a hash; the sign by another (HashedNets, ROBE, ROAST)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, final

from lightning_tying.algebra.catalogue.shape_rules import need_whole
from lightning_tying.algebra.partial_shapes import Shapes, meet, open_shape, whole
from lightning_tying.algebra.primitives.gather import Gather
from lightning_tying.algebra.primitives.indices import HashedCells
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Hashed(Transform):
    """`hashed(x, seed=0, chunk=1, sign=True)`: x a vector of n cells, n declared.

    Cell c reads x[(h + c % chunk) % n], h = hash(seed, key, c // chunk, 0); its sign is 1 − 2·(hash(seed, key,
    c // chunk, 1) % 2). Chen et al. 2015; in chunks Desai et al. 2022, 2023.
    """

    fixed_map: ClassVar[bool] = True

    def __init__(self, seed: int = 0, chunk: int = 1, sign: bool = True) -> None:
        if sign not in (True, False):
            raise Mistake("48", f"hashed: sign is {sign!r}, neither true nor false.")
        self.seed = need_whole("hashed", "seed", seed)
        self.chunk = need_whole("hashed", "chunk", chunk, 1)
        self.sign = bool(sign)

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        del site
        return replace(shapes, value=shapes.value, operands=(meet(shapes.operands[0], open_shape(1)),))

    def check(self, shapes: Shapes, site: str) -> None:
        del site
        (size,) = whole(shapes.operands[0])
        if size < self.chunk:
            cells = "1 cell" if size == 1 else f"{size} cells"
            text = f"{shapes.name(0)} has {cells}, less than one chunk of {self.chunk}."
            raise Mistake("70", text)

    def operand_init(self, place: int) -> str | None:
        del place
        return "normal"

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own
        shape, (size,) = whole(shapes.value), whole(shapes.operands[0])
        return Gather(shape, operands[0], HashedCells(shape, size, self.seed, key, chunk=self.chunk, sign=self.sign))
