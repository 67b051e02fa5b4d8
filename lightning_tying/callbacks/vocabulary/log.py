"""The figures of a vocabulary in; the numbers by the names under which they are logged out."""

from __future__ import annotations

from lightning_tying.reports.vocabulary.figures import VocabularyFigures

TAG = "vocabulary"
WHOLE = ("rows", "dead_rows", "premium_mean", "premium_max", "premium_ratio", "gini", "renyi", "rows_saved")
EACH = (
    "fertility", "premium", "bytes_per_token", "characters_per_token", "whole_words", "renyi", "unknown", "round_trip",
    "shared", "bits_per_byte",
)  # fmt: skip


def list_values(figures: VocabularyFigures) -> dict[str, float]:
    """`vocabulary/gini`, `vocabulary/de/premium` and so on; what is not defined is left out.

    Args:
        figures: of a vocabulary.
    """
    values = {f"{TAG}/{name}": getattr(figures, name) for name in WHOLE}
    for each in figures.languages:
        values |= {f"{TAG}/{each.language}/{name}": getattr(each, name) for name in EACH}
    return {name: float(value) for name, value in values.items() if value is not None}
