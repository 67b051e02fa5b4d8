"""A tensor in, the same values out; on the way back its gradient times a number, or none."""

from __future__ import annotations

from typing import Any, cast, final

import torch
from torch import Tensor
from torch.autograd import Function


class _ScaleGradient(Function):
    """The identity whose derivative is a number; linear, so that it can be derived again and batched."""

    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, factor: float) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's form without a context
        del factor
        return value.view_as(value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        del output
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.factor, None


@final
class _WithForwardMode(_ScaleGradient):
    """The same with a forward-mode derivative, which Dynamo refuses to trace."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        return tangents[0] * ctx.factor


def scale_gradient(value: Tensor, factor: float) -> Tensor:
    """The tensor as it is, for a backward pass that multiplies the gradient by `factor`.

    Args:
        value: any tensor.
        factor: 0 drops the gradient altogether, 1 changes nothing.
    """
    if factor == 1:
        return value
    if factor == 0:
        return value.detach()
    function = _ScaleGradient if torch.compiler.is_compiling() else _WithForwardMode
    return cast(Tensor, function.apply(value, factor))  # pyright: ignore[reportUnknownMemberType]  # untyped in torch
