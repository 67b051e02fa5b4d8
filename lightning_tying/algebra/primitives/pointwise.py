"""`map`: functions of a closed list, of one tensor, with a value of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, final

import torch
from torch import Tensor

from lightning_tying.algebra.fits.linear_algebra import norm
from lightning_tying.algebra.primitives.gradients import scale_gradient
from lightning_tying.algebra.primitives.node import Inputs, Node

Function: TypeAlias = Literal["tanh", "sigmoid", "exp", "softmax", "normalize", "top", "times", "stop", "scale_grad"]


@final
class Pointwise(Node):
    """One function of the list.

    Args:
        function: its name: `times` multiplies by a number, `top` sets all but the n largest of the last dimension to
            minus infinity for a softmax (`fill`) or to 0, `normalize` gives every slice along a dimension norm 1.
        operand: what it is applied to.
        options: what else the function is called with.
    """

    def __init__(self, function: Function, operand: Node, **options: float) -> None:
        super().__init__(operand.shape, (operand,))
        self.function: Function = function
        self.options: dict[str, Any] = options

    def forward(self, inputs: Inputs) -> Tensor:
        return FUNCTIONS[self.function](self.operands[0].forward(inputs), **self.options)

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        """`times` divides; what only scales, drops or stops passes the target on; the others have no fit."""
        if known[0] is not None:
            return [None]
        if self.function == "times":
            number = self.options["number"]
            return [target / number if number else torch.zeros_like(target)]
        return [target if self.function in ("normalize", "stop", "scale_grad") else None]


def normalize_slices(value: Tensor, dim: int) -> Tensor:
    """Every slice along `dim` divided by its norm; one of zeros stays as it is."""
    others = [place for place in range(value.ndim) if place != dim % value.ndim]
    length = norm(value, others, keepdim=True) if others else value.abs()
    return value / torch.where(length == 0, torch.ones_like(length), length)


def keep_largest(value: Tensor, count: int, fill: float) -> Tensor:
    """The `count` largest cells of the last dimension; `fill` in place of the others. Of equal ones torch chooses."""
    largest, places = torch.topk(value, count, dim=-1)
    return torch.full_like(value, fill).scatter(-1, places, largest)


def _times(value: Tensor, number: float) -> Tensor:
    return value * number


def _softmax(value: Tensor, dim: int) -> Tensor:
    return torch.softmax(value, dim)


FUNCTIONS: Mapping[Function, Callable[..., Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "softmax": _softmax,
    "normalize": normalize_slices,
    "top": keep_largest,
    "times": _times,
    "stop": torch.detach,
    "scale_grad": scale_gradient,
}
