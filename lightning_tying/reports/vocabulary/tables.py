"""The figures of a vocabulary in; tables of its languages, of pairs and of false friends out."""

from __future__ import annotations

from lightning_tying.reports.tables import Table
from lightning_tying.reports.vocabulary.advice import percent
from lightning_tying.reports.vocabulary.figures import LanguageFigures, VocabularyFigures
from lightning_tying.vocab.measures.false_friends import FalseFriend

MOST_PAIRS = 20
MOST_WORDS = 6  # false friends of a pair that are named
MOST_FRIENDS = 20  # pairs with false friends


def summary_table(figures: VocabularyFigures) -> Table:
    """What holds for the whole vocabulary."""
    rows = [
        ("rows", f"{figures.rows:,}"),
        ("pieces", f"{figures.pieces:,}"),
        ("dead rows", f"{figures.dead_rows:,} ({percent(figures.dead_rows / max(1, figures.pieces))})"),
        ("Rényi efficiency (α = 2.5)", number(figures.renyi)),
    ]
    if figures.separate_rows:
        rows.insert(1, ("rows saved", f"{percent(figures.rows_saved)} of {figures.separate_rows:,}"))
    if figures.reference:
        rows += [
            ("premium, mean", number(figures.premium_mean)),
            ("premium, max", number(figures.premium_max)),
            ("premium, max / min", number(figures.premium_ratio)),
            ("Gini", number(figures.gini, 4)),
        ]
    return Table(("", figures.vocabulary), tuple(rows))


def language_table(figures: VocabularyFigures) -> Table:
    """A row for each language, the worst first; bits per byte where a model was measured."""
    measured = figures.bits_from is not None
    header = (
        "language", "premium", "fertility", "bytes / token", "characters / token", "whole words", "Rényi", "unknown",
        "round trip", "shared tokens", *(["bits / byte"] if measured else []),
    )  # fmt: skip
    return Table(header, tuple(_language_row(each, measured) for each in figures.languages))


def pair_table(figures: VocabularyFigures) -> Table:
    """A row for each pair of languages, those first that are most alike."""
    header = ("languages", "divergence", "coverage", "and back", "shared tokens", "rows saved")
    rows = (
        (
            " – ".join(pair.languages), number(pair.divergence), percent(pair.coverage[0]), percent(pair.coverage[1]),
            percent(pair.running), percent(pair.saved),
        )
        for pair in figures.pairs[:MOST_PAIRS]
    )  # fmt: skip
    return Table(header, tuple(rows))


def friends_table(figures: VocabularyFigures) -> Table:
    """A row for each pair of languages that has false friends, the most first."""
    found: dict[tuple[str, str], list[FalseFriend]] = {}
    for friend in figures.false_friends:
        found.setdefault(friend.languages, []).append(friend)
    pairs = sorted(found.items(), key=lambda item: -len(item[1]))[:MOST_FRIENDS]
    rows = ((" – ".join(pair), f"{len(friends):,}", _name_words(friends)) for pair, friends in pairs)
    return Table(("languages", "false friends", "words"), tuple(rows))


def number(value: float | None, digits: int = 2) -> str:
    """As many digits after the point; `-` where it is not defined."""
    return "-" if value is None else f"{value:.{digits}f}"


def _language_row(figures: LanguageFigures, measured: bool) -> tuple[str, ...]:
    return (
        figures.language, number(figures.premium), number(figures.fertility), number(figures.bytes_per_token),
        number(figures.characters_per_token), percent(figures.whole_words), number(figures.renyi),
        percent(figures.unknown), percent(figures.round_trip), percent(figures.shared),
        *([number(figures.bits_per_byte, 3)] if measured else []),
    )  # fmt: skip


def _name_words(friends: list[FalseFriend]) -> str:
    words = [friend.word for friend in friends[:MOST_WORDS]]
    more = len(friends) - len(words)
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")
