"""Tables of several vocabularies and the rows that their words share in; one table and a rotation for each out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_tying.algebra.fits.linear_algebra import cut_svd, norm

_PULL = 1e-9  # towards the identity, against the size of what is known: it decides directions that nothing else does


@dataclass(frozen=True)
class TurnedTable:
    """A table whose words stand in one vocabulary's own space.

    Args:
        key: of the matrix that turns the common space into it; several tables may have one matrix.
        values: [words, d].
        rows: of the common table, int64 [words]; −1 for a word without one.
        turn: the matrix [k, d] where it is known already.
    """

    key: object
    values: Tensor
    rows: Tensor
    turn: Tensor | None = None


def turn_towards(known: Tensor, target: Tensor) -> Tensor:
    """The matrix P [k, d] with orthonormal rows (columns where k > d) for which ‖known @ P − target‖ is least.

    Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem": U Vᵀ of knownᵀ target = U Σ Vᵀ.

    Args:
        known: [n, k].
        target: [n, d].
    """
    k, d = known.shape[1], target.shape[1]
    product = known.T @ target
    size = float(norm(product))
    straight = torch.eye(k, d, dtype=product.dtype, device=product.device)
    if not size:
        return straight
    u, _, v = cut_svd(product + _PULL * size * straight, min(k, d))
    return u @ v


def solve_turns(tables: Iterable[TurnedTable], rows: int, width: int) -> tuple[Tensor, Mapping[object, Tensor]]:
    """One table for all, and the matrix of each.

    The first matrix decides the space: the identity where it keeps the width, else the `width` largest principal
    directions of its tables. Each next one is turned towards the rows that are known by then, the mean of what the
    tables before say.

    Args:
        tables: in model order.
        rows: of the common table.
        width: of the common table, k.

    Returns:
        The table [rows, k], zeros where no word reads a row, and the matrices [k, d] by key.
    """
    groups: dict[object, list[TurnedTable]] = {}
    for table in tables:
        groups.setdefault(table.key, []).append(table)
    sums, counts = torch.zeros(0), torch.zeros(0)
    turns: dict[object, Tensor] = {}
    for key, parts in groups.items():
        values, places = _stack(parts)
        if not turns:
            sums, counts = values.new_zeros(rows, width), values.new_zeros(rows, 1)
        turn = parts[0].turn
        if turn is None:
            is_known = counts[places, 0] > 0
            known = (sums / counts.clamp(min=1))[places[is_known]]
            turn = turn_towards(known, values[is_known]) if turns else _choose_space(values, width)
        turns[key] = turn = turn.to(values)
        sums.index_add_(0, places, values @ turn.T)
        counts.index_add_(0, places, values.new_ones(len(places), 1))
    return sums / counts.clamp(min=1), turns


def _stack(parts: list[TurnedTable]) -> tuple[Tensor, Tensor]:
    """The words of all tables that have a row, and these rows."""
    kept = [table.rows >= 0 for table in parts]
    values = torch.cat([table.values[named] for table, named in zip(parts, kept, strict=True)])
    return values, torch.cat([table.rows[named] for table, named in zip(parts, kept, strict=True)])


def _choose_space(values: Tensor, width: int) -> Tensor:
    if width >= values.shape[1]:
        return torch.eye(width, values.shape[1], dtype=values.dtype, device=values.device)
    return cut_svd(values, width)[2]
