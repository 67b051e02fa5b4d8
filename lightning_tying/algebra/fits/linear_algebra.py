"""Matrices in; norms, pseudo-inverses and singular value decompositions out (torch.linalg, which declares no types)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor


def norm(value: Tensor, dims: Sequence[int] | None = None, *, keepdim: bool = False) -> Tensor:
    """The square root of the sum of squares along `dims`; None: of all cells."""
    return cast(Tensor, torch.linalg.vector_norm(value, dim=dims, keepdim=keepdim))  # pyright: ignore[reportUnknownMemberType]  # untyped in torch


def invert(matrix: Tensor) -> Tensor:
    """The pseudo-inverse of a matrix, or of each of a stack: least squares, and the smallest solution of many."""
    return cast(Tensor, torch.linalg.pinv(matrix))  # pyright: ignore[reportUnknownMemberType]  # untyped in torch


def divide_right(value: Tensor, matrix: Tensor) -> Tensor:
    """X with X @ matrix = value."""
    return cast(Tensor, torch.linalg.solve(matrix, value, left=False))  # pyright: ignore[reportUnknownMemberType]  # untyped in torch


def cut_svd(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `rank` largest parts of a matrix: U [m, r], Σ [r], Vᵀ [r, n]; zeros follow where it has fewer."""
    parts = torch.linalg.svd(matrix, full_matrices=False)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # untyped in torch
    u, s, v = cast("tuple[Tensor, Tensor, Tensor]", parts)
    u, s, v = u[:, :rank], s[:rank], v[:rank]
    missing = rank - len(s)
    if missing:
        u = torch.cat([u, u.new_zeros(len(u), missing)], 1)
        s = torch.cat([s, s.new_zeros(missing)])
        v = torch.cat([v, v.new_zeros(missing, v.shape[1])])
    return u, s, v
