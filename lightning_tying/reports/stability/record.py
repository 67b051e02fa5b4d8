"""One sample of one sharing group in; a line of JSON out, and back again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import combinations
from typing import Any, Literal, TypeAlias, cast

from lightning_tying.reports.plain_content import to_plain
from lightning_tying.reports.stability import measures
from lightning_tying.reports.stability.measures import UseNumbers
from lightning_tying.reports.stability.rows import RowNumbers
from lightning_tying.reports.stability.running import OverTime

Pairs: TypeAlias = Literal["none", "sketch", "exact"]


@dataclass(frozen=True)
class Record:
    """What was measured of one sharing group at one step. Numbers that are not defined are NaN.

    Args:
        step: the optimizer step.
        group: the sharing group's name.
        uses: the names of its K uses.
        norms: ‖g‖ of each use.
        sum_norm: ‖Σ g‖.
        kappa: coherence, 0 to 1.
        shares: of each use in the sum of the norms.
        dominance: the largest share.
        conflict: share of the pairs whose cosine is below 0.
        cosines: K × K; None where pairs were not measured.
        pairs: how the cosines were found.
        cosine_error: standard deviation of the error of a cosine, at most; 0 for exact ones.
        spike: robust z-score of the log-norm.
        snr: signal to noise over time.
        drift: cosine with the last sample.
        update_to_weight: ‖Δθ‖ / ‖θ‖ of a step.
        finite: whether all gradients are finite.
        first_nonfinite: the use whose gradient was the first that is not.
        site_norms: of the gradient at each use's site, for a derived use before its expression; empty where not asked.
        rows: of a vocabulary table, by language or group of rows.
    """

    step: int
    group: str
    uses: tuple[str, ...]
    norms: tuple[float, ...]
    sum_norm: float
    kappa: float
    shares: tuple[float, ...]
    dominance: float
    conflict: float = math.nan
    cosines: tuple[tuple[float, ...], ...] | None = None
    pairs: Pairs = "none"
    cosine_error: float = 0.0
    spike: float = math.nan
    snr: float = math.nan
    drift: float = math.nan
    update_to_weight: float = math.nan
    finite: bool = True
    first_nonfinite: str | None = None
    site_norms: tuple[float, ...] = ()
    rows: Mapping[str, RowNumbers] = field(default_factory=dict[str, RowNumbers])

    def to_json(self) -> str:
        """One line; what is not defined or infinite is `null`, since JSON has no NaN.

        Of the cosines only those above the diagonal are in it, with six digits: a row for each use but the last.
        """
        content = to_plain(asdict(self)) | {"cosines": None if self.cosines is None else _above_diagonal(self.cosines)}
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Read a line that `to_json` wrote; keys that are not known are left out.

        Raises:
            ValueError: it is no such line.
        """
        content = json.loads(line)
        if not isinstance(content, dict):
            raise ValueError("a record is a mapping")
        try:
            return _read(cast("dict[str, Any]", content))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a record: {error}") from error


def make_record(
    step: int,
    group: str,
    numbers: UseNumbers,
    *,
    over_time: OverTime | None = None,
    update_to_weight: float = math.nan,
    rows: Mapping[str, RowNumbers] | None = None,
) -> Record:
    """Put the numbers of one sample together.

    Args:
        step: the optimizer step.
        group: the sharing group's name.
        numbers: of this sample.
        over_time: what `RunningStability.update` gave for it.
        update_to_weight: ‖Δθ‖ / ‖θ‖ of a step.
        rows: what `measure_rows` gave.
    """
    found = measures.cosines(numbers)
    later = over_time or OverTime(math.nan, math.nan, math.nan)
    first = numbers.first_nonfinite
    return Record(
        step=step,
        group=group,
        uses=tuple(str(key) for key in numbers.keys),
        norms=tuple(numbers.norms),
        sum_norm=numbers.sum_norm,
        kappa=measures.coherence(numbers),
        shares=measures.shares(numbers),
        dominance=measures.dominance(numbers),
        conflict=math.nan if found is None else measures.conflict_of(found),
        cosines=None if found is None else tuple(tuple(float(cell) for cell in row) for row in found),
        pairs="none" if found is None else "sketch" if numbers.cosine_error > 0 else "exact",
        cosine_error=numbers.cosine_error,
        spike=later.spike,
        snr=later.snr,
        drift=later.drift,
        update_to_weight=update_to_weight,
        finite=numbers.finite,
        first_nonfinite=None if first is None else str(first),
        site_norms=tuple(numbers.site_norms),
        rows=dict(rows or {}),
    )


def _above_diagonal(cosines: Sequence[Sequence[float]]) -> list[list[float | None]]:
    rows = (row[place + 1 :] for place, row in enumerate(cosines[:-1]))
    return [[round(cell, 6) if math.isfinite(cell) else None for cell in row] for row in rows]


def _full_table(above: Sequence[Sequence[Any]], norms: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """The whole table again: symmetric, 1 on the diagonal where there is a gradient."""
    count = len(norms)
    if [len(row) for row in above] != list(range(count - 1, 0, -1)):
        raise ValueError("not a record: its cosines are not as many as its pairs of uses")
    table = [[1.0 if norm > 0 and math.isfinite(norm) else math.nan] * count for norm in norms]
    for one, other in combinations(range(count), 2):
        table[one][other] = table[other][one] = _number(above[one][other - one - 1])
    return tuple(map(tuple, table))


def _read(content: dict[str, Any]) -> Record:
    known = {each.name for each in fields(Record)}
    plain: dict[str, Any] = {key: value for key, value in content.items() if key in known}
    plain |= {key: _number(plain[key]) for key in _NUMBERS & plain.keys()}
    for key in ("norms", "shares", "site_norms"):
        plain[key] = tuple(_number(each) for each in plain.get(key, ()))
    if plain.get("cosines") is not None:
        plain["cosines"] = _full_table(plain["cosines"], plain["norms"])
    plain["uses"] = tuple(str(use) for use in plain["uses"])
    plain["rows"] = {name: _read_rows(row) for name, row in plain.get("rows", {}).items()}
    plain |= {"step": int(plain["step"]), "group": str(plain["group"])}
    record = Record(**plain)
    _check(record)
    return record


def _read_rows(row: Mapping[str, Any]) -> RowNumbers:
    norms = tuple(_number(each) for each in row["norms"])
    return RowNumbers(int(row["rows"]), _number(row["share"]), norms, _number(row["kappa"]))


def _check(record: Record) -> None:
    count = len(record.uses)
    if not count or len(record.norms) != count or len(record.shares) != count:
        raise ValueError("not a record: its numbers are not as many as its uses")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


_NUMBERS = frozenset(
    ("sum_norm", "kappa", "dominance", "conflict", "cosine_error", "spike", "snr", "drift", "update_to_weight")
)
