"""Per-use gradients of a vocabulary table, by row, in; what each language or group of rows gets, out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from lightning_tying.reports.stability.measures import coherence_of

_unique: Callable[[Tensor], Tensor] = cast(Any, torch).unique  # sorted; torch has no stub for it


@dataclass(frozen=True)
class RowNumbers:
    """What the uses add to the gradient of one group of rows.

    Args:
        rows: how many rows the group has.
        share: of all squared per-use gradients, 0 to 1; groups that overlap count their rows each.
        norms: ‖g_u‖ of each use, over these rows alone.
        kappa: coherence over these rows alone.
    """

    rows: int
    share: float
    norms: tuple[float, ...]
    kappa: float


def measure_rows(
    use_norms: Tensor, sum_norms: Tensor, groups: Mapping[str, Sequence[int] | Tensor]
) -> dict[str, RowNumbers]:
    """Numbers of each group of rows: a language's, the special tokens', the rarest tenth.

    Args:
        use_norms: norm of each row of each use's gradient, uses × rows.
        sum_norms: norm of each row of the summed gradient, rows.
        groups: the numbers of the rows of each group; groups may overlap.

    Raises:
        ValueError: the shapes do not belong together, or a group names a row that is not there.
    """
    if use_norms.ndim != 2 or sum_norms.shape != use_norms.shape[1:]:
        raise ValueError(f"{tuple(use_norms.shape)} norms of uses and rows do not fit {tuple(sum_norms.shape)} sums.")
    squares = use_norms.detach().to("cpu", torch.float64).square()
    sums = sum_norms.detach().to("cpu", torch.float64).square()
    total = float(squares.sum())
    found: dict[str, RowNumbers] = {}
    for name, members in groups.items():
        rows = _sorted_once(members)
        if len(rows) and not 0 <= int(rows[0]) <= int(rows[-1]) < len(sums):
            raise ValueError(f"Rows of `{name}` go from {int(rows[0])} to {int(rows[-1])}; there are {len(sums)}.")
        found[name] = _measure(squares[:, rows], float(sums[rows].sum()), total)
    return found


def _sorted_once(members: Sequence[int] | Tensor) -> Tensor:
    return _unique(torch.as_tensor(members, dtype=torch.int64).cpu().flatten())


def _measure(squares: Tensor, summed: float, total: float) -> RowNumbers:
    norms = tuple(float(each) for each in squares.sum(dim=1).sqrt())
    share = float(squares.sum()) / total if total > 0 else math.nan
    return RowNumbers(squares.shape[1], share, norms, coherence_of(norms, math.sqrt(summed)))
