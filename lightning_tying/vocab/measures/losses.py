"""What a vocabulary loses of a text: texts go in; rates of unknown tokens and of texts that come back come out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lightning_tying.vocab.measures.encoding import Decode, Encode


def unknown_rate(encode: Encode, texts: Sequence[str], language: str, unknown: Collection[int]) -> float | None:
    """The share of the tokens that say "unknown".

    Args:
        encode: of the vocabulary.
        texts: of one language.
        language: theirs.
        unknown: the ids of unknown tokens; none where every text can be written.

    Returns:
        From 0 to 1; None where there is no token.
    """
    encoded = encode(texts, language)
    tokens = sum(map(len, encoded))
    return sum(id in unknown for ids in encoded for id in ids) / tokens if tokens else None


def round_trip_rate(encode: Encode, decode: Decode, texts: Sequence[str], language: str) -> float | None:
    """The share of the texts that come back exactly.

    Args:
        encode: of the vocabulary.
        decode: its way back.
        texts: of one language.
        language: theirs.

    Returns:
        From 0 to 1; None without texts.
    """
    if not texts:
        return None
    encoded = encode(texts, language)
    return sum(decode(ids, language) == text for ids, text in zip(encoded, texts, strict=True)) / len(texts)
