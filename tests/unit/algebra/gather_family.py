"""The gather family under random arguments, each function with its definition written from the language reference."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from lightning_tying.algebra.catalogue.cells import GatherCells, Mask
from lightning_tying.algebra.catalogue.diagonal import Diag
from lightning_tying.algebra.catalogue.hashed import Hashed
from lightning_tying.algebra.catalogue.join import Concat
from lightning_tying.algebra.catalogue.layout import Flip, Permute, Reshape, Roll, Rot90, T
from lightning_tying.algebra.catalogue.parts import Repeat, Slice
from lightning_tying.algebra.catalogue.rows import Rows
from lightning_tying.algebra.expression import FileMap, ScalarMap
from lightning_tying.algebra.partial_shapes import Shapes
from lightning_tying.algebra.primitives.node import Inputs
from lightning_tying.algebra.primitives.ref import Ref
from lightning_tying.spec.hashing import hash_values


@dataclass(frozen=True)
class Case:
    """A call with its shapes; `define` makes the value of NumPy arrays."""

    transform: object
    shapes: Shapes
    define: object
    key: str = "fc.weight"

    @property
    def node(self):
        operands = [Ref(shape, slot) for slot, shape in enumerate(self.shapes.operands)]
        return self.transform.expand(operands, [], self.shapes, self.key)

    def draw(self, seed=0, dtype=torch.float64):
        generator = torch.Generator().manual_seed(seed)
        return [
            torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in self.shapes.operands
        ]

    def forward(self, tensors):
        return self.node.forward(Inputs(tensors))


def file_map(cells, count=None, path="maps/m.json"):
    content = np.asarray(cells, dtype="<i8")
    return FileMap(path, "0" * 64, content.shape, int(content.max()) + 1 if count is None else count, content.tobytes())


def per_cell(shape, define):
    value = np.zeros(shape)
    for cell in itertools.product(*(range(size) for size in shape)):
        value[cell] = define(*cell)
    return value


sizes = st.integers(1, 5)
tensors = st.lists(sizes, min_size=1, max_size=4).map(tuple)
matrices = st.tuples(sizes, sizes)


@st.composite
def layouts(draw):
    shape = draw(tensors)
    dims = list(range(len(shape)))
    kind = draw(st.sampled_from(["t", "permute", "flip", "roll", "rot90", "reshape"]))
    if kind == "t":
        a, b = draw(matrices)
        return Case(T(), Shapes((b, a), ((a, b),)), lambda x: x.T)
    if kind == "permute":
        axes = draw(st.permutations(dims).map(tuple))
        return Case(Permute(axes), Shapes(tuple(shape[a] for a in axes), (shape,)), lambda x: np.transpose(x, axes))
    if kind == "flip":
        axes = draw(st.lists(st.sampled_from(dims), unique=True, min_size=1).map(tuple))
        return Case(Flip(axes), Shapes(shape, (shape,)), lambda x: np.flip(x, axes))
    if kind == "roll":
        n, dim = draw(st.integers(-7, 7)), draw(st.sampled_from([*dims, -1]))
        return Case(Roll(n, dim), Shapes(shape, (shape,)), lambda x: np.roll(x, n, dim))
    if kind == "rot90":
        shape, k = (*shape, draw(sizes)), draw(st.integers(-5, 5))
        turned = (*shape[:-2], shape[-1], shape[-2]) if k % 2 else shape
        return Case(Rot90(k), Shapes(turned, (shape,)), lambda x: np.rot90(x, k, (-2, -1)))
    new = (math.prod(shape),) if draw(st.booleans()) else (1, *shape[::-1])
    given = draw(st.sampled_from([None, new]))
    return Case(Reshape(given), Shapes(new, (shape,)), lambda x: x.reshape(new))


@st.composite
def parts(draw):
    shape = draw(tensors)
    dim = draw(st.integers(0, len(shape) - 1))
    if draw(st.booleans()):
        start = draw(st.integers(0, shape[dim] - 1))
        stop = draw(st.integers(start + 1, shape[dim]))
        cut = tuple(slice(start, stop) if d == dim else slice(None) for d in range(len(shape)))
        value = tuple(stop - start if d == dim else size for d, size in enumerate(shape))
        return Case(Slice(start, stop, dim), Shapes(value, (shape,)), lambda x: x[cut])
    n, block = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    shape = tuple(size * block if d == dim else size for d, size in enumerate(shape))
    value = tuple(size * n if d == dim else size for d, size in enumerate(shape))

    def repeat(x):
        blocks = np.split(x, x.shape[dim] // block, dim)
        return np.concatenate([one for one in blocks for _ in range(n)], dim)

    return Case(Repeat(n, dim, block), Shapes(value, (shape,)), repeat)


@st.composite
def maps(draw):
    kind = draw(st.sampled_from(["rows", "gather", "outside", "mask", "diag", "hashed"]))
    if kind == "rows":
        block, stored, rest = draw(st.integers(1, 3)), draw(sizes), draw(tensors)
        cells = draw(st.lists(st.integers(0, stored - 1), min_size=1, max_size=6))
        extra = draw(st.integers(0, 2))  # rows that no block reaches
        shapes = Shapes((len(cells) * block, *rest[1:]), ((stored * block + extra, *rest[1:]),))
        rows = [cell * block + r for cell in cells for r in range(block)]
        return Case(Rows(file_map(cells, stored), block), shapes, lambda x: x[rows])
    if kind == "diag":
        shape = draw(matrices)
        define = lambda x: per_cell(shape, lambda i, j: x[i] if i == j else 0)  # noqa: E731
        return Case(Diag(), Shapes(shape, ((min(shape),),)), define)
    shape = draw(tensors)
    if kind == "mask":
        cells = np.asarray(draw(st.lists(st.integers(0, 1), min_size=math.prod(shape), max_size=math.prod(shape))))
        return Case(
            Mask(file_map(cells.reshape(shape), 2)), Shapes(shape, (shape,)), lambda x: x * cells.reshape(shape)
        )
    if kind == "hashed":
        return draw(hashes(shape))
    n, outside = draw(sizes), draw(st.sampled_from([0, 1.5, -2])) if kind == "outside" else None
    entries = st.integers(-3, 8) if kind == "outside" else st.integers(0, n - 1)
    cells = draw(st.lists(entries, min_size=math.prod(shape), max_size=math.prod(shape)))
    index = np.asarray(cells).reshape(shape)
    read = lambda x: per_cell(shape, lambda *c: x[index[c]] if 0 <= index[c] < n else outside)  # noqa: E731
    return Case(GatherCells(file_map(index), outside), Shapes(shape, ((n,),)), read)


@st.composite
def hashes(draw, shape):
    chunk, sign = draw(st.integers(1, 4)), draw(st.booleans())
    n, seed, key = draw(st.integers(chunk, 9)), draw(st.integers(-2, 5)), draw(st.sampled_from(["fc.weight", "q/3"]))

    def read(x):
        value = np.zeros(math.prod(shape))
        for c in range(value.size):
            h = hash_values(seed, key, c // chunk, 0)
            flip = 1 - 2 * (hash_values(seed, key, c // chunk, 1) % 2) if sign else 1
            value[c] = flip * x[(h + c % chunk) % n]
        return value.reshape(shape)

    return Case(Hashed(seed, chunk, sign), Shapes(shape, ((n,),)), read, key)


@st.composite
def joins(draw):
    shape = draw(tensors)
    dim = draw(st.integers(0, len(shape) - 1))
    lengths = draw(st.lists(sizes, min_size=1, max_size=4))
    operands = tuple(tuple(n if d == dim else size for d, size in enumerate(shape)) for n in lengths)
    value = tuple(sum(lengths) if d == dim else size for d, size in enumerate(shape))
    return Case(Concat(dim), Shapes(value, operands), lambda *xs: np.concatenate(xs, dim))


every_case = st.one_of(layouts(), parts(), maps(), joins())

EXAMPLES = {  # one of each, for what is not about numbers
    "t": Case(T(), Shapes((3, 2), ((2, 3),)), None),
    "reshape": Case(Reshape(), Shapes((3, 2), ((2, 3),)), None),
    "permute": Case(Permute((2, 0, 1)), Shapes((4, 2, 3), ((2, 3, 4),)), None),
    "flip": Case(Flip((0, 1)), Shapes((2, 3), ((2, 3),)), None),
    "roll": Case(Roll(1), Shapes((2, 3), ((2, 3),)), None),
    "rot90": Case(Rot90(1), Shapes((3, 2), ((2, 3),)), None),
    "slice": Case(Slice(1, 3), Shapes((2, 3), ((4, 3),)), None),
    "repeat": Case(Repeat(3, 0, 2), Shapes((12, 3), ((4, 3),)), None),
    "rows": Case(Rows(ScalarMap("i0 // 2")), Shapes((6, 3), ((3, 3),)), None),
    "blocks": Case(Rows(ScalarMap("i0 % 2"), 2), Shapes((8, 3), ((4, 3),)), None),
    "gather": Case(GatherCells(ScalarMap("(i1 - i0) % 4")), Shapes((4, 4), ((4,),)), None),
    "outside": Case(GatherCells(ScalarMap("i1 - i0"), 0), Shapes((4, 4), ((3,),)), None),
    "mask": Case(Mask(ScalarMap("i0 >= i1")), Shapes((3, 4), ((3, 4),)), None),
    "hashed": Case(Hashed(), Shapes((3, 4), ((5,),)), None),
    "chunks": Case(Hashed(1, 3, False), Shapes((3, 4), ((5,),)), None),
    "diag": Case(Diag(), Shapes((3, 4), ((3,),)), None),
    "concat": Case(Concat(1), Shapes((3, 5), ((3, 2), (3, 3))), None),
}
