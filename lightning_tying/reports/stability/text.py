"""The history of a run and its savings in; a report for a terminal, or as data, out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from lightning_tying.reports.stability.advice import advise_families
from lightning_tying.reports.stability.history import History
from lightning_tying.reports.stability.rows import RowNumbers
from lightning_tying.reports.stability.summary import GroupSummary, summarize
from lightning_tying.reports.tables import Table

HEADER = (
    "shared parameter",
    "uses",
    "samples",
    "coherence",
    "1 / K",
    "conflict",
    "largest share",
    "SNR",
    "drift",
    "update",
)


def write_text(history: History, savings: Mapping[str, Any] | None = None) -> str:
    """Savings, advice, a table with the worst group first, and notes.

    Args:
        history: of a run.
        savings: the `savings` of its `sharing.json`.
    """
    summaries = summarize(history.records)
    saved = describe_savings(savings)
    advice = "\n".join(f"- {sentence}" for sentence in advise_families(summaries))
    notes = "\n".join(f"note: {note}" for note in history.notes)
    rows = [f"{each.group}, by row\n\n{rows_table(each.rows, each.uses).to_text()}" for each in summaries if each.rows]
    return "\n\n".join(part for part in (saved, advice, summary_table(summaries).to_text(), *rows, notes) if part)


def to_data(history: History, savings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The same as plain data for JSON, the worst group first."""
    summaries = summarize(history.records)
    return {
        "advice": advise_families(summaries),
        "groups": [summary.to_dict() for summary in summaries],
        "savings": None if savings is None else dict(savings),
        "notes": list(history.notes),
    }


def summary_table(summaries: Sequence[GroupSummary]) -> Table:
    """A row for each sharing group."""
    return Table(HEADER, tuple(_row(summary) for summary in summaries))


def rows_table(rows: Mapping[str, RowNumbers], uses: Sequence[str]) -> Table:
    """A row for each language or group of rows of a vocabulary table, the largest share first."""
    header = ("rows", "how many", "share", "coherence", *(f"norm, {use}" for use in uses))
    ordered = sorted(rows.items(), key=lambda item: -item[1].share if math.isfinite(item[1].share) else 0.0)
    cells = (
        (name, f"{row.rows:,}", percent(row.share), number(row.kappa), *(f"{norm:.3g}" for norm in row.norms))
        for name, row in ordered
    )
    return Table(header, tuple(cells))


def savings_table(savings: Mapping[str, Any] | None) -> Table:
    """What was counted before and after sharing; no rows where the savings hold no counts."""
    before, after = (_side(savings or {}, side) for side in ("before", "after"))
    counted = [key for key, count in before.items() if isinstance(count, int) and isinstance(after.get(key), int)]
    rows = ((key.replace("_", " "), f"{before[key]:,}", f"{after[key]:,}") for key in counted)
    return Table(("", "before", "after"), tuple(rows))


def describe_savings(savings: Mapping[str, Any] | None) -> str:
    """`427,904 -> 231,552 parameters (46 % saved)`; nothing where the savings do not say so."""
    before, after = (_side(savings or {}, side).get("parameters") for side in ("before", "after"))
    if not (isinstance(before, int) and isinstance(after, int) and before):
        return ""
    saved = 100 * (1 - after / before)
    told = f"{saved:.0f} % saved" if saved >= 0 else f"{-saved:.0f} % more"
    return f"{before:,} -> {after:,} parameters ({told})"


def percent(share: float) -> str:
    """`71 %`; `-` where it is not defined."""
    return f"{100 * share:.0f} %" if math.isfinite(share) else "-"


def number(value: float) -> str:
    """Two digits after the point, for large and small numbers three digits; `-` where it is not defined."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.2f}" if 0.1 <= abs(value) < 100 or value == 0 else f"{value:.3g}"


def _row(summary: GroupSummary) -> tuple[str, ...]:
    return (
        summary.group,
        f"{len(summary.uses):,}",
        f"{summary.samples:,}",
        number(summary.kappa),
        number(1 / len(summary.uses)),
        percent(summary.conflict),
        percent(summary.dominance),
        number(summary.snr),
        number(summary.drift),
        number(summary.update_to_weight),
    )


def _side(savings: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    size: Any = savings.get(side)
    return cast("Mapping[str, Any]", size) if isinstance(size, Mapping) else {}
