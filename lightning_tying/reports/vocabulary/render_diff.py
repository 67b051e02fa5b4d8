"""What differs between two vocabularies in; plain text, JSON, Markdown or an HTML page out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape

from lightning_tying.reports.page import page, wide
from lightning_tying.reports.tables import Table
from lightning_tying.reports.vocabulary.advice import percent
from lightning_tying.reports.vocabulary.diff import VocabularyDiff
from lightning_tying.reports.vocabulary.tables import number

TITLE = "What differs between two vocabularies"
MOST_PIECES = 24
MOST_EXAMPLES = 12


def list_tables(diff: VocabularyDiff) -> Iterator[tuple[str, Table]]:
    """The headings and tables of a comparison; what has no row is left out.

    Args:
        diff: of two vocabularies.
    """
    yield "Rows and pieces", _overview(diff)
    if diff.languages:
        yield "Languages, the most changed first", _languages(diff)
    if diff.examples:
        rows = tuple((each.language, "|".join(each.first), "|".join(each.second)) for each in diff.examples)
        yield "Texts that change", Table(("language", *diff.names), rows[:MOST_EXAMPLES])


def name_pieces(diff: VocabularyDiff) -> list[str]:
    """A sentence each about pieces that only one has and ids that moved, where there are any.

    Args:
        diff: of two vocabularies.
    """
    first, second = diff.names
    moved = [f"{piece!r} {old} -> {new}" for piece, old, new in diff.moved]
    found = (
        (f"only in {first}", list(map(repr, diff.only_first))),
        (f"only in {second}", list(map(repr, diff.only_second))),
        ("moved", moved),
    )
    return [f"{told}: {_name(pieces)}" for told, pieces in found if pieces]


def to_text(diff: VocabularyDiff) -> str:
    """The comparison as plain text."""
    parts = [f"{heading}\n\n{table.to_text()}" for heading, table in list_tables(diff)]
    return "\n\n".join([parts[0], *name_pieces(diff), *parts[1:]])


def to_json(diff: VocabularyDiff) -> str:
    """All of it as JSON, every piece included."""
    return json.dumps(diff.to_dict(), indent=1, ensure_ascii=False)


def to_markdown(diff: VocabularyDiff) -> str:
    """The comparison as Markdown."""
    parts = [f"## {heading}\n\n{table.to_markdown()}" for heading, table in list_tables(diff)]
    pieces = "\n".join(f"    {sentence}" for sentence in name_pieces(diff))  # as it is: pieces hold signs of Markdown
    return "\n\n".join([f"# {TITLE}", parts[0], *([pieces] if pieces else []), *parts[1:]])


def to_html(diff: VocabularyDiff) -> str:
    """The comparison as a page that opens alone."""
    parts = [f"<h2>{escape(heading)}</h2>{wide(table.to_html())}" for heading, table in list_tables(diff)]
    pieces = [f"<p>{escape(sentence)}</p>" for sentence in name_pieces(diff)]
    return page(TITLE, "".join([parts[0], *pieces, *parts[1:]]))


def _overview(diff: VocabularyDiff) -> Table:
    rows = (
        ("rows", f"{diff.rows[0]:,}", f"{diff.rows[1]:,}"),
        ("pieces in both", f"{diff.both:,}", f"{diff.both:,}"),
        ("pieces in one only", f"{len(diff.only_first):,}", f"{len(diff.only_second):,}"),
        ("ids that moved", f"{len(diff.moved):,}", f"{len(diff.moved):,}"),
    )
    return Table(("", *diff.names), rows)


def _languages(diff: VocabularyDiff) -> Table:
    rows = (
        (
            each.language,
            f"{each.tokens[0]:,}",
            f"{each.tokens[1]:,}",
            number(each.ratio, 3),
            f"{each.changed:,} of {each.texts:,} ({percent(each.changed / max(1, each.texts))})",
        )
        for each in diff.languages
    )
    return Table(
        ("language", *(f"tokens, {name}" for name in diff.names), "ratio", "texts cut differently"), tuple(rows)
    )


def _name(pieces: list[str]) -> str:
    shown = " ".join(pieces[:MOST_PIECES])
    return f"{shown} … and {len(pieces) - MOST_PIECES:,} more" if len(pieces) > MOST_PIECES else shown
