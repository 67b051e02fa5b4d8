"""An average and a value go in; the average has followed the value by one step afterwards."""

from __future__ import annotations

from torch import Tensor


def follow(average: Tensor, value: Tensor, decay: float) -> Tensor:
    """Average ← decay · average + (1 − decay) · value (Polyak and Juditsky 1992; Tarvainen and Valpola 2017, eq. 2).

    Args:
        average: of any floating dtype.
        value: of the same shape.
        decay: from 0 (the value itself) to 1 (nothing changes).

    Returns:
        A new tensor with the dtype and device of `average`.
    """
    return (average * decay).add(value.to(average), alpha=1 - decay)
