"""A dictionary and a vocabulary in; for two languages the rows of their words and the pairs of translations out."""

# pyright: reportUnknownMemberType=false
# torch is typed in part only.

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import cast

import torch
from torch import Tensor

from lightning_tying.vocab.dictionaries import Dictionary
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from lightning_tying.vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class WordPairs:
    """Translations as rows.

    Args:
        source: rows of the table that are words of the one language, int64 [n].
        target: those of the other, int64 [m].
        pairs: translations as places in `source` and `target`, int64 [p, 2].
    """

    source: Tensor
    target: Tensor
    pairs: Tensor


def find_pairs(
    vocabulary: Vocabulary, dictionary: Dictionary, one: str, other: str, sizes: tuple[int, int]
) -> WordPairs:
    """The translations of which both words are one piece, with a blank in front or without.

    Args:
        vocabulary: that of the data.
        dictionary: groups of words.
        one: a language.
        other: another.
        sizes: rows of the tables of both.

    Raises:
        ConfigError: the vocabulary does not know a language.
    """
    rows = [_find_rows(vocabulary, language, size) for language, size in zip((one, other), sizes, strict=True)]
    places = [{row: place for place, row in enumerate(cast("list[int]", own.tolist()))} for own in rows]
    found: set[tuple[int, int]] = set()
    for group in dictionary:
        pieces = [_find_pieces(vocabulary, group.get(language, ()), language) for language in (one, other)]
        sides = [[known[piece] for piece in own if piece in known] for known, own in zip(places, pieces, strict=True)]
        found.update(product(sides[0], sides[1]))
    return WordPairs(rows[0], rows[1], torch.tensor(sorted(found), dtype=torch.int64).view(-1, 2))


def _find_rows(vocabulary: Vocabulary, language: str, size: int) -> Tensor:
    """The rows of a table that a language's vocabulary reads."""
    if not isinstance(vocabulary, UnitedVocabulary):
        return torch.arange(size)
    rows = vocabulary.rows.rows_of(vocabulary.member_of(language))
    return torch.tensor(sorted({row for row in rows.tolist() if 0 <= row < size}))


def _find_pieces(vocabulary: Vocabulary, words: Iterable[str], language: str) -> list[int]:
    written = [form for word in words for form in (f" {word}", word)]
    return [ids[0] for ids in vocabulary.encode_many(written, language) if len(ids) == 1] if written else []
