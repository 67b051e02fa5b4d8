"""The language's hash, its fixed maps and its random numbers with Python's integers, one cell at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b

import torch
from torch import Tensor

MASK = 2**64 - 1


def mix_bits(word: int) -> int:
    word = (word + 0x9E3779B97F4A7C15) & MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def hash_numbers(*values: int | str) -> int:
    """63 bits of the values, as the reference of the language says."""
    state = 0
    for value in values:
        if isinstance(value, str):
            word = int.from_bytes(blake2b(value.encode(), digest_size=8).digest(), "little")
        else:
            word = value & MASK
        state = mix_bits(state ^ word)
    return state >> 1


def hashed(pool: Tensor, shape: Sequence[int], key: str, *, chunk: int = 1, sign: bool = True, seed: int = 0) -> Tensor:
    """Cell c reads cell (h + c mod chunk) mod n, h the hash of its piece; the sign is another hash."""
    cells = []
    for cell in range(math.prod(shape)):
        piece, place = divmod(cell, chunk)
        value = pool[(hash_numbers(seed, key, piece, 0) + place) % len(pool)]
        cells.append(-value if sign and hash_numbers(seed, key, piece, 1) % 2 else value)
    return torch.stack(cells).reshape(*shape)


def uniform(letter: str, rows: int, columns: int, bound: float, seed: int = 0) -> Tensor:
    """A fixed matrix of VeRA: numbers between -bound and bound."""
    cells = [[2 * hash_numbers(seed, letter, i, j) / 2**63 - 1 for j in range(columns)] for i in range(rows)]
    return bound * torch.tensor(cells, dtype=torch.float64)


def normal(key: str, rows: int, columns: int, seed: int = 0) -> Tensor:
    """The fixed matrix of a dense projection: normal numbers by Box and Muller."""
    cells = [[_normal(seed, key, i, j) for j in range(columns)] for i in range(rows)]
    return torch.tensor(cells, dtype=torch.float64)


def _normal(*place: int | str) -> float:
    first = (hash_numbers(*place, 0) + 1) / 2**63
    second = hash_numbers(*place, 1) / 2**63
    return math.sqrt(-2 * math.log(first)) * math.cos(2 * math.pi * second)
