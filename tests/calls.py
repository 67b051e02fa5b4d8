"""One call of a function, without a spec: its shapes, its program, its value."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_tying.algebra.expand import expand
from lightning_tying.algebra.expression import Argument, Call, Own, ParameterName, Read, Shape
from lightning_tying.algebra.fits.estimate import Estimate
from lightning_tying.algebra.fits.fit import fit_slots
from lightning_tying.algebra.partial_shapes import Partial, Shapes, whole
from lightning_tying.algebra.primitives.node import Inputs, Node
from lightning_tying.algebra.registry import make_transform
from lightning_tying.algebra.transform import Known, Transform


def transform_of(function: str, **arguments: Argument) -> Transform:
    return make_transform(Call((), function, (), tuple(arguments.items())))


def infer(transform: Transform, value: Partial = None, *operands: Partial, own: tuple[Partial, ...] = ()) -> Shapes:
    """The shapes, after rules were used until nothing new follows."""
    own = own or tuple(None for _ in transform.brings)
    shapes = Shapes(value, operands, own)
    for _ in range(20):
        found = transform.infer(shapes, "site")
        if found == shapes:
            return found
        shapes = found
    raise AssertionError(f"{shapes} and {found} follow from each other")


@dataclass
class Called:
    """A call whose operands are the parameters `x0`, `x1`, …; the slots are operands, then what it brings."""

    call: Call
    transform: Transform
    shapes: Shapes
    node: Node

    def draw(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        sizes = [*self.shapes.operands, *self.shapes.own]
        return [torch.randn(whole(size), dtype=dtype, generator=generator) for size in sizes]

    def __call__(self, *slots: Tensor, training: bool = False) -> Tensor:
        return self.node.forward(Inputs(slots, training))

    def fit(self, target: Tensor, known: dict[int, Tensor]) -> dict[int, Tensor]:
        return {slot: found.value for slot, found in fit_slots(self.node, Estimate(target), known).items()}

    def solve(self, target: Tensor, *known: Tensor | None):
        count = len(self.shapes.operands)
        return self.transform.solve(target, Known(known[:count], known[count:]), self.shapes, self.call.key)


def call(function: str, value: Shape, *operands: Shape | None, key: str = "site", **arguments: Argument) -> Called:
    transform = transform_of(function, **arguments)
    shapes = infer(transform, value, *operands)
    transform.check(shapes, "site")
    reads = tuple(Read(whole(shape), ParameterName(f"x{place}")) for place, shape in enumerate(shapes.operands))
    own = tuple(
        Own(each.name, ParameterName(f"{function}.{each.name}"), whole(shape))
        for each, shape in zip(transform.brings, shapes.own, strict=True)
    )
    made = Call(whole(shapes.value), function, reads, tuple(arguments.items()), own, key)
    slots = {name: number for number, name in enumerate(made.parameters)}
    wanted = [*(read.parameter for read in reads), *(each.parameter for each in own)]
    order = {name: number for number, name in enumerate(wanted)}
    assert set(slots) == set(order)
    return Called(made, transform, shapes, expand(made, order))
