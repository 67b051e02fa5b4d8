"""Seeds, keys and sizes in; the fixed numbers of `vera`, `project` and `resize` out, the same on every machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_tying.algebra.fits.linear_algebra import norm
from lightning_tying.algebra.maps.hashed_numbers import hash_cells

_CHUNK = 1 << 20  # so many numbers are hashed at once: their int64 steps need several times the memory of the result
_RANGE = 2.0**63


@dataclass(frozen=True)
class VeraMatrix:
    """√(3 / columns) · u with u = 2 · hash(seed, letter, row, column) / 2⁶³ − 1 (Kopiczko et al. 2024)."""

    seed: int
    letter: str
    rows: int
    columns: int

    def make(self, dtype: torch.dtype) -> tuple[Tensor]:
        found = torch.empty(self.rows, self.columns, dtype=dtype, device="cpu")
        bound = math.sqrt(3 / self.columns)
        for rows, part in _chunks(self.rows, self.columns):
            hashed = hash_cells(self.seed, self.letter, rows[:, None], _count(self.columns))
            found[part] = (bound * (2 * (hashed.double() / _RANGE) - 1)).to(dtype)
        return (found,)


@dataclass(frozen=True)
class DenseProjection:
    """A normal number for each cell of the site and each of the vector, over √D (Li et al. 2018).

    Args:
        rows: cells of the site.
        columns: cells of the vector.
        total: D, the cells of all sites that read the vector so.
    """

    seed: int
    key: str
    rows: int
    columns: int
    total: int

    def make(self, dtype: torch.dtype) -> tuple[Tensor]:
        found = torch.empty(self.rows, self.columns, dtype=dtype, device="cpu")
        for rows, part in _chunks(self.rows, self.columns):
            normal = draw_normal(self.seed, self.key, rows[:, None], _count(self.columns))
            found[part] = (normal / math.sqrt(self.total)).to(dtype)
        return (found,)


@dataclass(frozen=True)
class SparseProjection:
    """±D^¼ / √D where the first uniform number is below 1/√D, else 0: rows, columns and values of what is not 0."""

    seed: int
    key: str
    rows: int
    columns: int
    total: int

    def make(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        size = self.total**0.25 / math.sqrt(self.total)
        all_rows: list[Tensor] = []
        all_columns: list[Tensor] = []
        all_values: list[Tensor] = []
        for rows, _ in _chunks(self.rows, self.columns):
            uniform = _uniform(hash_cells(self.seed, self.key, rows[:, None], _count(self.columns), 0))
            row, column = (uniform < 1 / math.sqrt(self.total)).nonzero(as_tuple=True)
            sign = 1 - 2 * (hash_cells(self.seed, self.key, rows[row], column, 1) % 2)
            all_rows.append(rows[row])
            all_columns.append(column)
            all_values.append((size * sign.double()).to(dtype))
        return torch.cat(all_rows), torch.cat(all_columns), torch.cat(all_values)


@dataclass(frozen=True)
class FastFoodFactors:
    """B, Π, G, S [blocks, p] and the two Hadamard matrices of S H G Π H B / √D (Le, Sarlos & Smola 2013).

    p is `columns` padded to a power of two. B: signs from hash(seed, key, block, j, 'B'). Π: the order of
    hash(seed, key, block, j, 'P'). G: normal, by Box–Muller as in `dense` from (seed, key, block, j, 'G'). S: the
    lengths that rows of p normal numbers have, over ‖G‖: their square is χ² with p degrees of freedom, made from a
    normal number z of (seed, key, block, j, 'S') as p (1 − c + z √c)³ / (1 − c³), c = 2 / 9p (Wilson & Hilferty 1931),
    so that an entry of the product has variance 1 / D.
    """

    seed: int
    key: str
    rows: int
    columns: int
    total: int

    def make(self, dtype: torch.dtype) -> tuple[Tensor, ...]:
        bits = (self.columns - 1).bit_length()
        size = 1 << bits
        block, cell = _count(-(-self.rows // size))[:, None], _count(size)
        signs = 1 - 2 * (hash_cells(self.seed, self.key, block, cell, "B") % 2).double()
        order = hash_cells(self.seed, self.key, block, cell, "P").argsort(dim=1, stable=True)
        normal = draw_normal(self.seed, self.key, block, cell, "G")
        lengths = self._lengths(draw_normal(self.seed, self.key, block, cell, "S"), size)
        scale = lengths / norm(normal, [1], keepdim=True) / math.sqrt(size * self.total)
        half = (bits + 1) // 2
        matrices = hadamard(half), hadamard(bits - half)
        return signs.to(dtype), order, normal.to(dtype), scale.to(dtype), *(matrix.to(dtype) for matrix in matrices)

    @staticmethod
    def _lengths(normal: Tensor, size: int) -> Tensor:
        c = 2 / (9 * size)
        return (size * (1 - c + normal * math.sqrt(c)).clamp_min(0) ** 3 / (1 - c**3)).sqrt()


@dataclass(frozen=True)
class Interpolation:
    """The matrix [out, in] of linear interpolation along one dimension, `align_corners` off."""

    size: int
    out: int

    def make(self, dtype: torch.dtype) -> tuple[Tensor]:
        place = ((_count(self.out).double() + 0.5) * (self.size / self.out) - 0.5).clamp_min(0)
        below = place.long().clamp_max(self.size - 1)
        above = (below + 1).clamp_max(self.size - 1)
        weight = (place - below)[:, None]
        matrix = torch.zeros(self.out, self.size, dtype=torch.float64, device="cpu")
        matrix.scatter_add_(1, below[:, None], 1 - weight)
        matrix.scatter_add_(1, above[:, None], weight)
        return (matrix.to(dtype),)


def draw_normal(*values: int | str | Tensor) -> Tensor:
    """Normal numbers by Box–Muller from hash(…, 0) and hash(…, 1), in float64."""
    first = _uniform(hash_cells(*values, 0))
    second = hash_cells(*values, 1).double() / _RANGE
    return (-2 * first.log()).sqrt() * (2 * math.pi * second).cos()


def hadamard(bits: int) -> Tensor:
    """Sylvester's matrix of 2^bits rows, entries ±1, in float64."""
    matrix = torch.ones(1, 1, dtype=torch.float64, device="cpu")
    for _ in range(bits):
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix


def _uniform(hashed: Tensor) -> Tensor:
    """(h + 1) / 2⁶³; the largest h wraps round to −2⁶³, hence the sign."""
    return (hashed + 1).double().abs() / _RANGE


def _count(size: int) -> Tensor:
    return torch.arange(size, dtype=torch.int64, device="cpu")


def _chunks(rows: int, columns: int) -> list[tuple[Tensor, slice]]:
    """The numbers of some rows at a time, with their place."""
    step = max(1, _CHUNK // max(1, columns))
    return [
        (torch.arange(start, min(start + step, rows), dtype=torch.int64, device="cpu"), slice(start, start + step))
        for start in range(0, rows, step)
    ]
