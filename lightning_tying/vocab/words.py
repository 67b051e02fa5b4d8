"""Words of parallel texts: texts go in, their words, and in which messages each stands, come out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache

Parallel = Mapping[str, Mapping[str, str]]
"""Language → key → text; texts of one key are translations of each other."""


def words_of(text: str) -> list[str]:
    """The runs of letters with their marks, in Unicode's form C, in the order of the text."""
    return "".join(map(_letter_or_blank, unicodedata.normalize("NFC", text))).split()


def places_of_words(texts: Mapping[str, str], wanted: Iterable[str] | None = None) -> dict[str, set[str]]:
    """The keys of the messages in which each word stands.

    Args:
        texts: key → text.
        wanted: the words to look for; None for all.
    """
    only = None if wanted is None else set(wanted)
    places: dict[str, set[str]] = {}
    for key, text in texts.items():
        for word in words_of(text):
            if only is None or word in only:
                places.setdefault(word, set()).add(key)
    return places


def dice(first: set[str], second: set[str]) -> float:
    """Dice's coefficient, from 0 (never together) to 1 (always): ``2 |A ∩ B| / (|A| + |B|)``; of two empty sets 0."""
    total = len(first) + len(second)
    return 2 * len(first & second) / total if total else 0.0


@cache
def _letter_or_blank(sign: str) -> str:
    # Python's \w has no combining marks, and would cut Devanagari inside its syllables
    return sign if unicodedata.category(sign)[0] in "LM" else " "
