"""The language's hash for all cells at once: whole numbers, texts and tensors in, a tensor of whole numbers out."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_tying.spec.hashing import mix_number, number_of

_GAMMA, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def hash_cells(*values: int | str | Tensor) -> Tensor:
    """`hash(a, b, …)` of section 4.2 of the language reference; equals `spec.hashing.hash_values` cell by cell.

    Args:
        values: whole numbers and texts, the same for all cells, and tensors of int64, which are broadcast.

    Returns:
        int64, 0 … 2⁶³ − 1, in the shape that the tensors have together.
    """
    state: int | Tensor = 0
    for value in values:
        if isinstance(value, Tensor):
            state = _mix(value ^ (_signed(state) if isinstance(state, int) else state))
        elif isinstance(state, int):
            state = mix_number(state ^ number_of(value))
        else:
            state = _mix(state ^ _signed(number_of(value)))
    if isinstance(state, int):
        return torch.tensor(state >> 1, dtype=torch.int64)
    return _shift(state, 1)


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finalizer on a tensor of its own; int64 wraps round as arithmetic mod 2⁶⁴ does."""
    x += _signed(_GAMMA)
    x ^= _shift(x, 30)
    x *= _signed(_FIRST)
    x ^= _shift(x, 27)
    x *= _signed(_SECOND)
    x ^= _shift(x, 31)
    return x


def _shift(x: Tensor, places: int) -> Tensor:
    """A logical shift to the right: torch's `>>` keeps the sign, so the places that it fills are cleared."""
    return (x >> places) & ((1 << (64 - places)) - 1)


def _signed(number: int) -> int:
    """The int64 with the same 64 bits."""
    return number - (1 << 64) if number >= 1 << 63 else number
