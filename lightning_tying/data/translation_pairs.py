"""Pairs for translation: messages of several languages by key go in, directions and pairs of messages come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from lightning_tying.data.corpus import Corpus, Split
from lightning_tying.data.token_store import TokenStore

Numbers = NDArray[np.int64]
Directions = tuple[tuple[str, str], ...]


@final
@dataclass(frozen=True)
class PairTable:
    """Pairs of messages, those of one direction after those of the other.

    Args:
        source: int64 [pairs], the number of the source's message.
        target: int64 [pairs], the number of the target's.
        direction: int64 [pairs], which direction a pair belongs to.
        counts: pairs of each direction.
    """

    source: Numbers
    target: Numbers
    direction: Numbers
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.source)


def directions_of(languages: Sequence[str], sources: Sequence[str], through: str | None = None) -> Directions:
    """The directions of a run: from each source into every other language.

    Args:
        languages: all languages.
        sources: those that are translated from.
        through: keep only directions that have this language on a side.
    """
    every = ((source, target) for source in sources for target in languages if source != target)
    return tuple(pair for pair in every if through is None or through in pair)


def pair_messages(corpus: Corpus, store: TokenStore, split: Split, directions: Directions) -> PairTable:
    """The messages that both languages of a direction have.

    Args:
        corpus: the texts, for their keys.
        store: its tokens, for the messages' numbers.
        split: which part of both.
        directions: (source, target) of each.
    """
    places = _places(corpus, store, split, sorted({language for pair in directions for language in pair}))
    tables = [_pair(places[source], places[target]) for source, target in directions]
    source, target = np.concatenate([np.zeros((2, 0), np.int64), *tables], axis=1)
    counts = tuple(table.shape[1] for table in tables)
    return PairTable(source, target, np.repeat(np.arange(len(directions)), counts), counts)


def drop_long(pairs: PairTable, store: TokenStore, length: int) -> PairTable:
    """The pairs whose sides have at most `length` tokens; the target's tag is one of them."""
    lengths = np.diff(store.offsets)
    kept = (lengths[pairs.source] <= length) & (lengths[pairs.target] < length)
    counts = np.bincount(pairs.direction[kept], minlength=len(pairs.counts))
    return PairTable(pairs.source[kept], pairs.target[kept], pairs.direction[kept], tuple(counts.tolist()))


def _places(corpus: Corpus, store: TokenStore, split: Split, languages: Sequence[str]) -> dict[str, Numbers]:
    """For each language and key the message's number, or -1: int64 [keys]."""
    messages = corpus.splits[split]
    keys = {key: None for language in languages for key in messages[language]}
    number_of = {key: number for number, key in enumerate(keys)}
    places: dict[str, Numbers] = {}
    for language in languages:
        place = np.full(len(keys), -1, np.int64)
        found = np.array([number_of[key] for key in messages[language]], np.int64)
        place[found] = np.arange(*store.messages(split, language), dtype=np.int64)
        places[language] = place
    return places


def _pair(source: Numbers, target: Numbers) -> Numbers:
    both = np.flatnonzero((source >= 0) & (target >= 0))
    return np.stack([source[both], target[both]])
