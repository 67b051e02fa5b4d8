"""Transforms of a user's own, called by import path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from lightning_tying.algebra.partial_shapes import Shapes, meet
from lightning_tying.algebra.transform import OwnParameter, Transform


class Lifted(Transform):
    """x ** power + c."""

    brings: ClassVar[tuple[OwnParameter, ...]] = (OwnParameter("c", "zeros"),)

    def __init__(self, power: int, flag: bool = False) -> None:
        if power < 0:
            raise TypeError("power is negative")
        self.power = power
        self.flag = flag

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        shape = meet(shapes.value, shapes.operands[0])
        return Shapes(shape, (shape,), (meet(shapes.own[0], ()),))

    def forward(self, operands: Sequence[Tensor], own: Sequence[Tensor], shapes: Shapes) -> Tensor:
        return operands[0] ** self.power + own[0]


class Unfinished(Transform):
    """Has no shape rule."""


class Endless(Lifted):
    operands: ClassVar[tuple[str, ...]] = ("x", "…")
    brings: ClassVar[tuple[OwnParameter, ...]] = ()

    def __init__(self, power: int = 1) -> None:
        super().__init__(power)


class NeedsAnEnd(Lifted):
    operands: ClassVar[tuple[str, ...]] = ("x", "…")


class TakesAnything(Lifted):
    def __init__(self, *powers: int) -> None:
        super().__init__(powers[0])


class TakesATensor(Lifted):
    def __init__(self, power: object = torch) -> None:
        del power
        super().__init__(1)


class NamesTwice(Lifted):
    operands: ClassVar[tuple[str, ...]] = ("power",)


NUMBER = 3


class Silent(Transform):
    """Says its shapes and computes nothing."""

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        return shapes
