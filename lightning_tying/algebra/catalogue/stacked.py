"""What several sites have in; what they share and the coefficients of each out, by one SVD of all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_tying.algebra.fits.linear_algebra import cut_svd, divide_right


def split_stack(stack: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Coefficients C [m, r] and directions X [r, n] with C X nearest to a stack [m, n]: C = U, X = Σ Vᵀ.

    Where r is more than the rank that the stack can have, the further directions are 0 and their coefficients waves of
    different length, so that training can still tell them apart.
    """
    u, s, v = cut_svd(stack, rank)
    ready = min(stack.shape)
    if rank > ready:
        rows = torch.arange(len(stack), dtype=stack.dtype, device=stack.device)[:, None] + 0.5
        waves = torch.arange(ready, rank, dtype=stack.dtype, device=stack.device)
        u[:, ready:] = torch.cos(math.pi * waves * rows / (2 * rank))
    return u, s[:, None] * v


def unwhiten(directions: Tensor, whitening: Tensor) -> Tensor:
    """X with X L = directions: what was found in the inputs' own metric, in the cells' again."""
    return divide_right(directions, whitening.to(directions))


def split_rows(value: Tensor, counts: Sequence[int]) -> list[Tensor]:
    """The first rows, the next, and so on."""
    starts = [sum(counts[:place]) for place in range(len(counts))]
    return [value[start : start + count] for start, count in zip(starts, counts, strict=True)]
