"""The figures of a vocabulary in; plain text, JSON or Markdown out."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lightning_tying.reports.tables import Table
from lightning_tying.reports.vocabulary.advice import advise
from lightning_tying.reports.vocabulary.figures import VocabularyFigures
from lightning_tying.reports.vocabulary.tables import (
    MOST_PAIRS,
    friends_table,
    language_table,
    pair_table,
    summary_table,
)

TITLE = "What a vocabulary costs each language"


def list_tables(figures: VocabularyFigures) -> Iterator[tuple[str, Table]]:
    """The headings and tables of a report; what has no row is left out.

    Args:
        figures: of a vocabulary.
    """
    yield "The vocabulary", summary_table(figures)
    yield "Languages, the worst first", language_table(figures)
    if figures.pairs:
        some = f", the {MOST_PAIRS} most alike of {len(figures.pairs)}" if len(figures.pairs) > MOST_PAIRS else ""
        yield f"Pairs of languages{some}", pair_table(figures)
    if figures.false_friends:
        yield "False friends: one form, two meanings", friends_table(figures)


def to_text(figures: VocabularyFigures) -> str:
    """The report as plain text."""
    parts = [f"{heading}\n\n{table.to_text()}" for heading, table in list_tables(figures)]
    advice = "\n".join(f"- {sentence}" for sentence in advise(figures))
    notes = [f"note: {note}" for note in figures.notes]
    return "\n\n".join([*parts[:2], f"Advice\n\n{advice}", *parts[2:], *notes])


def to_json(figures: VocabularyFigures) -> str:
    """The figures and the advice as JSON."""
    return json.dumps({**figures.to_dict(), "advice": advise(figures)}, indent=1, ensure_ascii=False)


def to_markdown(figures: VocabularyFigures) -> str:
    """The report as Markdown."""
    parts = [f"## {heading}\n\n{table.to_markdown()}" for heading, table in list_tables(figures)]
    advice = "\n".join(f"1. {sentence}" for sentence in advise(figures))
    notes = [f"> {note}" for note in figures.notes]
    return "\n\n".join([f"# {TITLE}", *parts[:2], f"## Advice\n\n{advice}", *parts[2:], *notes])
