"""Tokens for each word: texts or words go in; fertility and the share of words that stay whole come out."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_tying.vocab.measures.encoding import Encode, count_tokens
from lightning_tying.vocab.measures.words import split_words


def fertility(encode: Encode, texts: Sequence[str], language: str) -> float | None:
    """Tokens of the texts over their words, ``Σ |T(s)| / Σ words(s)``; 1 is the least for whole words.

    Given words for texts, it is the fertility that TokLens computes (Rust et al. 2021, section 3.3, word by word).

    Args:
        encode: of the vocabulary.
        texts: of one language that puts blanks between words.
        language: theirs.

    Returns:
        None where there is no word.
    """
    words = sum(len(split_words(text)) for text in texts)
    return count_tokens(encode, texts, language) / words if words else None


def whole_words(encode: Encode, words: Sequence[str], language: str) -> float | None:
    """STRR, the single token retention rate: the share of the words that are one token (arXiv 2510.09947).

    Args:
        encode: of the vocabulary.
        words: as they stand in a text; where the vocabulary keeps blanks with words, with the blank before them.
        language: theirs.

    Returns:
        From 0 to 1; None without words.
    """
    if not words:
        return None
    return sum(len(ids) == 1 for ids in encode(words, language)) / len(words)
