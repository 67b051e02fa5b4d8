"""The records of a run in; one summary of each sharing group out, the worst first."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

from lightning_tying.reports.stability.record import Record
from lightning_tying.reports.stability.rows import RowNumbers
from lightning_tying.reports.stability.signs import is_conflict, is_dominated, is_fast, is_spike

NARROWEST = 0.1  # spread of the cosine of two uses over samples
Matrix: TypeAlias = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class GroupSummary:
    """One sharing group over all samples. Means leave out what is not defined; where nothing is left they are NaN.

    Args:
        group: its name.
        uses: of the last sample.
        samples: how many there are.
        kappa: mean coherence.
        conflict: mean share of the pairs whose cosine is below 0.
        shares: mean share of each use; of the samples with the same uses as the last.
        cosines: mean cosine of each two uses; None where pairs were not measured.
        conflicts: share of the samples in which the cosine of two uses is below 0.
        errors: standard error of each mean cosine.
        snr: the last signal to noise.
        drift: mean cosine with the sample before.
        update_to_weight: the median.
        spikes: steps whose norm was a spike.
        fast: steps that moved the parameter too far, as the sample before did; the first sample does not count, since
            what is 0 at the start moves by more than its size.
        nonfinite: steps with a gradient that is not finite, each with its first use.
        rows: of a vocabulary table by language or group of rows, of the last sample that has them.
    """

    group: str
    uses: tuple[str, ...]
    samples: int
    kappa: float
    conflict: float
    shares: tuple[float, ...]
    cosines: Matrix | None
    conflicts: Matrix | None
    errors: Matrix | None
    snr: float
    drift: float
    update_to_weight: float
    spikes: tuple[int, ...]
    fast: tuple[int, ...]
    nonfinite: tuple[tuple[int, str], ...]
    rows: Mapping[str, RowNumbers] = field(default_factory=dict[str, RowNumbers])

    @property
    def dominance(self) -> float:
        """The largest mean share."""
        return max(self.shares, default=math.nan)

    @property
    def cancellation(self) -> float:
        """0 where the uses are orthogonal or agree, 1 where they cancel: 1 - K κ, not below 0."""
        return 0.0 if math.isnan(self.kappa) else max(0.0, 1 - len(self.uses) * self.kappa)

    @property
    def worst_conflict(self) -> float:
        """The largest share of samples in which two uses that pull apart conflict; 0 where none do."""
        if self.cosines is None or self.conflicts is None or self.errors is None:
            return 0.0
        cells = (zip(*rows, strict=True) for rows in zip(self.conflicts, self.cosines, self.errors, strict=True))
        return max((cell[0] for row in cells for cell in row if is_conflict(*cell)), default=0.0)

    @property
    def badness(self) -> float:
        """By which groups are ordered: what is not finite first, then spikes, then uses that pull apart."""
        alarms = 8.0 * bool(self.nonfinite) + 4.0 * bool(self.spikes) + 4.0 * bool(self.fast)
        return alarms + self.cancellation + self.worst_conflict + 0.5 * is_dominated(self.shares)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; what is not defined is None."""
        names = ("kappa", "conflict", "dominance", "cancellation", "snr", "drift", "update_to_weight")
        numbers = {name: _json(getattr(self, name)) for name in names}
        return {
            "group": self.group,
            "uses": list(self.uses),
            "samples": self.samples,
            **numbers,
            "shares": [_json(share) for share in self.shares],
            "cosines": _json_matrix(self.cosines),
            "conflicts": _json_matrix(self.conflicts),
            "spikes": list(self.spikes),
            "fast": list(self.fast),
            "nonfinite": [{"step": step, "first": use} for step, use in self.nonfinite],
            "rows": {name: _json_rows(row) for name, row in self.rows.items()},
        }


def summarize(records: Iterable[Record]) -> tuple[GroupSummary, ...]:
    """Summarize each group, the worst first.

    Args:
        records: of all groups, by step.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group, []).append(record)
    return tuple(sorted(map(_summarize, groups.values()), key=lambda summary: (-summary.badness, summary.group)))


def mean_of(numbers: Iterable[float]) -> float:
    """The mean of the finite ones; NaN where there is none."""
    finite = [number for number in numbers if math.isfinite(number)]
    return statistics.fmean(finite) if finite else math.nan


def _summarize(records: Sequence[Record]) -> GroupSummary:
    last = records[-1]
    alike = [record for record in records if record.uses == last.uses]
    tables = [record.cosines for record in alike if record.cosines is not None]
    updates = [each.update_to_weight for each in records if math.isfinite(each.update_to_weight)]
    return GroupSummary(
        group=last.group,
        uses=last.uses,
        samples=len(records),
        kappa=mean_of(record.kappa for record in records),
        conflict=mean_of(record.conflict for record in records),
        shares=tuple(mean_of(column) for column in zip(*(record.shares for record in alike), strict=True)),
        cosines=_combine(tables, mean_of),
        conflicts=_combine(tables, _share_below_zero),
        errors=_combine(tables, _standard_error),
        snr=next((record.snr for record in reversed(records) if math.isfinite(record.snr)), math.nan),
        drift=mean_of(record.drift for record in records),
        update_to_weight=statistics.median(updates) if updates else math.nan,
        spikes=tuple(record.step for record in records if is_spike(record)),
        fast=tuple(each.step for before, each in pairwise(records[1:]) if is_fast(before) and is_fast(each)),
        nonfinite=tuple((each.step, each.first_nonfinite or "") for each in records if not each.finite),
        rows=next((each.rows for each in reversed(records) if each.rows), last.rows),
    )


def _combine(tables: Sequence[Matrix], combine: Any) -> Matrix | None:
    if not tables:
        return None
    count = range(len(tables[0]))
    return tuple(tuple(combine([table[row][column] for table in tables]) for column in count) for row in count)


def _share_below_zero(cells: Sequence[float]) -> float:
    return mean_of(float(cell < 0) for cell in cells if math.isfinite(cell))


def _standard_error(cells: Sequence[float]) -> float:
    """Of the mean; a spread that a few samples do not show is taken to be 0.1."""
    finite = [cell for cell in cells if math.isfinite(cell)]
    if not finite:
        return math.nan
    spread = statistics.stdev(finite) if len(finite) > 1 else 0.0
    return max(spread, NARROWEST) / math.sqrt(len(finite))


def _json(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _json_rows(row: RowNumbers) -> dict[str, Any]:
    norms = [_json(norm) for norm in row.norms]
    return {"rows": row.rows, "share": _json(row.share), "kappa": _json(row.kappa), "norms": norms}


def _json_matrix(matrix: Matrix | None) -> list[list[float | None]] | None:
    return None if matrix is None else [[_json(cell) for cell in row] for row in matrix]
