"""Optimizer states and what a new vocabulary's rows are made of go in; the states for its rows come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lightning_tying.lowering.edits.row_change import RowChange

SIZES = ("exp_avg_sq", "exp_inf", "square_avg", "sum")  # second moments, and what else says how large gradients are


def carry_state(state: Mapping[str, Any], change: RowChange, place: int) -> dict[str, Any]:
    """The state of one parameter with a row for each id.

    Kept rows keep their moments. In new rows a mean of gradients (`exp_avg`, `momentum_buffer`) is 0: they were never
    pushed anywhere. What says how large gradients are (`exp_avg_sq`, `max_exp_avg_sq`) is the mean of the rows that a
    new row is made of, by the shares of their weights: at 0, and `step` being far, Adam would take first steps several
    times as large as the learning rate.

    Args:
        state: of the parameter, as `Optimizer.state_dict` gives it.
        change: what each row is made of.
        place: the vocabulary's dimension.
    """
    shares = change.without_signs()
    made: dict[str, Any] = {}
    shape = next((value.shape for value in state.values() if isinstance(value, Tensor) and value.dim() > place), None)
    for key, value in state.items():
        if not isinstance(value, Tensor) or value.shape != shape:
            made[key] = value.clone() if isinstance(value, Tensor) else value
        elif key.removeprefix("max_") in SIZES:
            made[key] = shares.carry(value, place)
        else:
            made[key] = change.carry(value, place, new_zero=True)
    return made
