"""The history of a run and its savings in; one HTML page that opens alone out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lightning_tying.reports.drawing import write_svg
from lightning_tying.reports.page import page, picture, wide, write_page, write_sentence
from lightning_tying.reports.stability.advice import advise_families, advise_group
from lightning_tying.reports.stability.history import History
from lightning_tying.reports.stability.pictures import draw_cosines, draw_timeline
from lightning_tying.reports.stability.record import Record
from lightning_tying.reports.stability.summary import GroupSummary, summarize
from lightning_tying.reports.stability.text import describe_savings, rows_table, savings_table, summary_table

MOST_GROUPS = 16  # groups with pictures; the table has all
NOTHING = "No sample of a sharing group was written."


def write_report(records: Sequence[Record], savings: Mapping[str, Any] | None, path: Path) -> None:
    """Write the page; an interrupted write leaves the old file.

    Args:
        records: of one run.
        savings: the `savings` of its `sharing.json`, shown on top; None where there is none.
        path: the file; its folder is made.

    Raises:
        ConfigError: the file cannot be written.
    """
    write_page(render_report(History(tuple(records)), savings), path)


def render_report(history: History, savings: Mapping[str, Any] | None = None) -> str:
    """The page: savings, advice, a table, then each group with its pictures, the worst first."""
    summaries = summarize(history.records)
    by_group: dict[str, list[Record]] = {}
    for record in history.records:
        by_group.setdefault(record.group, []).append(record)
    shown = summaries[:MOST_GROUPS]
    sections = [_section(summary, by_group[summary.group], _family(summary, summaries)) for summary in shown]
    if len(summaries) > len(shown):
        sections.append(f"<p>{len(summaries) - len(shown)} more groups are in the table alone.</p>")
    notes = "".join(f'<p class="note">note: {escape(note)}</p>' for note in history.notes)
    return page("Gradient stability", notes + _overview(summaries, savings) + "".join(sections))


def _overview(summaries: Sequence[GroupSummary], savings: Mapping[str, Any] | None) -> str:
    saved = describe_savings(savings)
    counts = wide(savings_table(savings).to_html())
    told = f"<h2>Savings</h2><p>{escape(saved)}</p>{counts}" if saved else ""
    if not summaries:
        return f"{told}<p>{NOTHING}</p>"
    advice = "".join(f"<li>{write_sentence(sentence)}</li>" for sentence in advise_families(summaries))
    table = wide(summary_table(summaries).to_html())
    return f"{told}<h2>Advice, the worst first</h2><ol>{advice}</ol><h2>Sharing groups</h2>{table}"


def _section(summary: GroupSummary, records: Sequence[Record], family: Sequence[GroupSummary]) -> str:
    pictures = picture(
        write_svg(draw_timeline(records, summary.group)), f"{summary.group}: coherence and norms by step"
    )
    if summary.cosines is not None and len(summary.uses) > 1:
        drawn = draw_cosines(summary.cosines, summary.uses, f"{summary.group}: mean cosine{_error(records[-1])}")
        pictures += picture(write_svg(drawn), f"{summary.group}: mean cosine of each two uses")
    rows = next((record.rows for record in reversed(records) if record.rows), None)
    table = wide(rows_table(rows, summary.uses).to_html()) if rows else ""
    heading = f"<h3>{escape(summary.group)}</h3><p>{write_sentence(advise_group(summary, family))}</p>"
    return f'<section>{heading}<div class="pictures">{pictures}</div>{table}</section>'


def _family(summary: GroupSummary, summaries: Sequence[GroupSummary]) -> list[GroupSummary]:
    name = summary.group.partition("[")[0]
    return [each for each in summaries if each.group.partition("[")[0] == name]


def _error(record: Record) -> str:
    return f" (of a sketch, standard error {record.cosine_error:.2g})" if record.pairs == "sketch" else ""
