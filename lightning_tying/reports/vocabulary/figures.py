"""The figures of a vocabulary: numbers by language and by pair of languages, as data that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lightning_tying.vocab.measures.false_friends import FalseFriend


@dataclass(frozen=True)
class LanguageFigures:
    """One language; None stands for what is not defined or was not measured.

    Args:
        language: its code.
        texts: how many there are, as for the next three.
        bytes: of UTF-8.
        tokens: without tags and special tokens.
        rows_used: different rows in the corpus.
        fertility: tokens for each word; None where the language puts no blanks between words.
        premium: tokens for the text that costs the reference language 1 token.
        bytes_per_token: bytes of UTF-8 for each token.
        characters_per_token: code points for each token.
        whole_words: STRR, the share of words that are one token; None as for `fertility`.
        renyi: Rényi efficiency of order 2.5 over the rows that are used.
        unknown: the share of tokens that say "unknown".
        round_trip: the share of texts that come back exactly.
        shared: the share of running tokens on rows that another language has too.
        bits_per_byte: of a trained model.
    """

    language: str
    texts: int
    bytes: int
    tokens: int
    rows_used: int
    fertility: float | None
    premium: float | None
    bytes_per_token: float | None
    characters_per_token: float | None
    whole_words: float | None
    renyi: float | None
    unknown: float | None
    round_trip: float | None
    shared: float | None
    bits_per_byte: float | None = None


@dataclass(frozen=True)
class PairFigures:
    """Two languages; `Overlap` says what the numbers mean.

    Args:
        languages: the two codes.
        divergence: Jensen–Shannon, base 2.
        coverage: the share of the first one's rows that the second has too, and the other way round.
        running: the share of their running tokens on shared rows.
        saved: the share of their rows that one table saves.
    """

    languages: tuple[str, str]
    divergence: float
    coverage: tuple[float, float]
    running: float
    saved: float


@dataclass(frozen=True)
class VocabularyFigures:
    """A vocabulary over all its languages.

    Args:
        vocabulary: its name.
        rows: of an embedding table, the largest id + 1.
        pieces: rows that stand for text.
        dead_rows: pieces that no text of the corpus uses.
        separate_rows: rows of one table for each language; None where the languages have no vocabularies of their own.
        reference: the language that premiums compare with; None without parallel texts.
        premium_mean: over all languages, as for the next three.
        premium_max: the dearest language.
        premium_ratio: the dearest over the cheapest.
        gini: inequality of the premiums.
        renyi: Rényi efficiency of order 2.5, all texts together.
        languages: the worst first.
        pairs: of languages, the most alike first.
        false_friends: word forms that two languages have with different meanings.
        bits_from: the stage (`test`, `val`) whose bits per byte were added.
        notes: what could not be measured, as sentences.
    """

    vocabulary: str
    rows: int
    pieces: int
    dead_rows: int
    separate_rows: int | None
    reference: str | None
    premium_mean: float | None
    premium_max: float | None
    premium_ratio: float | None
    gini: float | None
    renyi: float | None
    languages: tuple[LanguageFigures, ...]
    pairs: tuple[PairFigures, ...]
    false_friends: tuple[FalseFriend, ...]
    bits_from: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def rows_saved(self) -> float | None:
        """The share of rows that one table saves against one for each language's own vocabulary."""
        return None if not self.separate_rows else 1 - self.rows / self.separate_rows

    def with_bits(self, bits: Mapping[str, float], stage: str) -> VocabularyFigures:
        """The same with the bits per byte of a trained model.

        Args:
            bits: of each language that was measured.
            stage: `test` or `val`.
        """
        languages = tuple(replace(each, bits_per_byte=bits.get(each.language)) for each in self.languages)
        return replace(self, languages=languages, bits_from=stage)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: numbers, texts, lists and mappings."""
        return {**asdict(self), "rows_saved": self.rows_saved}
