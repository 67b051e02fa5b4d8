"""Gradients in, their norms and inner products out, in blocks: no copy of a whole gradient is made for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

_ROW = 1 << 12  # cells whose squares are summed in the gradient's own precision
_BLOCK = 1 << 18  # cells that are multiplied in float64 at once
_norm: Callable[..., Tensor] = cast(Any, torch.linalg).vector_norm  # torch has no stub for it


def as_whole(gradient: Tensor) -> Tensor:
    """A plain dense tensor: the shards of a DTensor are gathered, which is a collective."""
    gather: Any = getattr(gradient, "full_tensor", None)
    if gather is not None:
        gradient = gather()
    return gradient.to_dense() if gradient.layout != torch.strided else gradient


def square_sum(gradient: Tensor) -> Tensor:
    """‖g‖² as a float64 number on the gradient's device: summed in float64 over rows of some thousand cells."""
    flat = gradient.detach().reshape(-1)
    if flat.dtype == torch.float64:
        return flat @ flat
    whole = flat.numel() // _ROW * _ROW
    precise = flat.dtype if flat.dtype == torch.float32 else torch.float32
    norms = _norm(flat[:whole].view(-1, _ROW), dim=1, dtype=precise).double()
    rest = flat[whole:].double()
    return norms @ norms + rest @ rest


def row_square_sums(gradient: Tensor) -> Tensor:
    """‖g_r‖² of each row (the first dimension), float64 on the gradient's device; their sum is `square_sum`."""
    rows = gradient.detach()
    rows = rows if rows.ndim == 2 else rows.reshape(rows.shape[0], -1)
    precise = rows.dtype if rows.dtype in (torch.float32, torch.float64) else torch.float32
    return _norm(rows, dim=1, dtype=precise).double().square()


def multiply_pairs(gradients: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The inner products of all pairs and the squared norm of the sum.

    Args:
        gradients: K of one shape.

    Returns:
        [K, K] and a number, float64 on the CPU.
    """
    flat = [gradient.detach().reshape(-1) for gradient in gradients]
    gram = torch.zeros(len(flat), len(flat), dtype=torch.float64, device=flat[0].device)
    total = torch.zeros((), dtype=torch.float64, device=flat[0].device)
    width = max(1, _BLOCK // len(flat))
    for start in range(0, flat[0].numel(), width):
        block = torch.stack([each[start : start + width].double() for each in flat])
        gram += block @ block.T
        added = block.sum(0)
        total += added @ added
    return gram.cpu(), total.cpu()


def to_floats(numbers: Tensor) -> list[float]:
    """The numbers of a vector, brought to the CPU at once."""
    return cast("list[float]", cast(Any, numbers).tolist())
