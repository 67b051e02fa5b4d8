"""The inner products of the uses' gradients in; the weight of each use in the combined gradient out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Weigh: TypeAlias = Callable[[Tensor], Tensor]

SUM = "sum"


def _mean(uses: int) -> float:
    return 1 / uses


def _sqrt(uses: int) -> float:
    return 1 / math.sqrt(uses)


UNIFORM: dict[str, Callable[[int], float]] = {"mean": _mean, "sqrt": _sqrt}
"""Rules that give every use one weight, by the number of uses: no gradient has to be kept for them."""

NORM_BALANCED = "norm_balanced"
OWN = (SUM, *UNIFORM, NORM_BALANCED)


def balance_norms(gram: Tensor) -> Tensor:
    """Weights that give all uses one norm, the mean of their norms; 1 for a use without a gradient.

    Args:
        gram: inner products, [uses, uses], float64.

    Returns:
        One weight for each use.
    """
    norms = gram.diagonal().clamp(min=0).sqrt()
    moved = norms > 0
    if not bool(moved.any()):
        return torch.ones_like(norms)
    return torch.where(moved, norms[moved].mean() / norms.where(moved, torch.ones_like(norms)), 1.0)
