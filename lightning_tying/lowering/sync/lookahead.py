"""Slow and fast weights go in; what both are after a step of Lookahead comes out."""

from __future__ import annotations

from torch import Tensor


def look_ahead(slow: Tensor, fast: Tensor, rate: float) -> Tensor:
    """Slow ← slow + rate · (fast − slow); the fast weights become the slow ones (Zhang et al. 2019, algorithm 1).

    Args:
        slow: the weights after the last round.
        fast: the weights that the optimizer has moved since, of the same shape.
        rate: α of the paper.

    Returns:
        A new tensor with the dtype and device of `fast`.
    """
    start = slow.to(fast)
    return start + (fast - start) * rate
