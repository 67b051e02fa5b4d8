"""The values of several members go in, what each of them has after a round of averaging comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from lightning_tying.spec.nodes import SyncWeights

Rows: TypeAlias = tuple[tuple[float, ...], ...]


def make_rows(
    weights: SyncWeights, all_members: Sequence[str], present: Sequence[str], samples: Sequence[float]
) -> Rows:
    """The mixing matrix of one set: row i says what share of every member's value member i takes.

    Weights for each member give the same row to all: W ← Σ_k (w_k / Σ w) W_k, with w_k = n_k the federated averaging
    of McMahan et al. 2017 (arXiv:1602.05629, algorithm 1). A matrix is used as it is: W_i ← Σ_j P_ij W_j, the gossip of
    Lian et al. 2017 (arXiv:1705.09056).

    Args:
        weights: as written.
        all_members: of the whole entry, in the order of lists and of the matrix.
        present: the members of this set, in its order.
        samples: how many samples each of `all_members` has seen since the last round.

    Returns:
        A row for each member of the set; with `samples` and none seen, a uniform one.
    """
    places = [all_members.index(member) for member in present]
    if isinstance(weights, tuple) and isinstance(weights[0], tuple):
        matrix = [row for row in weights if isinstance(row, tuple)]
        return tuple([tuple([matrix[i][j] for j in places]) for i in places])
    row = [_find_weight(weights, place, all_members, samples) for place in places]
    total = sum(row)
    share = tuple([each / total for each in row]) if total > 0 else (1 / len(row),) * len(row)
    return (share,) * len(row)


def _find_weight(weights: SyncWeights, place: int, members: Sequence[str], samples: Sequence[float]) -> float:
    if weights == "samples":
        return samples[place]
    if isinstance(weights, Mapping):
        return weights[members[place]]
    each = weights[place] if isinstance(weights, tuple) else 1.0
    return each if isinstance(each, float) else 1.0


def mix(values: Sequence[Tensor], rows: Rows) -> list[Tensor]:
    """W_i ← Σ_j P_ij W_j, in float32 at least; equal rows are reckoned once.

    Args:
        values: of the members, of one shape.
        rows: the matrix P.

    Returns:
        New tensors with the dtypes of the values, in their order; members with equal rows may share one.
    """
    dtype = torch.float32
    for value in values:
        dtype = torch.promote_types(dtype, value.dtype)
    made: dict[tuple[float, ...], Tensor] = {}
    for row in rows:
        if row not in made:
            made[row] = _add(values, row, dtype)
    return [made[row].to(value.dtype) for row, value in zip(rows, values, strict=True)]


def _add(values: Sequence[Tensor], row: Sequence[float], dtype: torch.dtype) -> Tensor:
    total = values[0].to(dtype) * row[0]
    for value, share in zip(values[1:], row[1:], strict=True):
        total = total.add(value.to(total), alpha=share)
    return total
