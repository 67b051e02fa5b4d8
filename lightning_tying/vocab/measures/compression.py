"""How much text a token holds: texts go in; bytes and characters for each token, and relative lengths, come out."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_tying.vocab.measures.encoding import Encode, count_tokens


def bytes_per_token(encode: Encode, texts: Sequence[str], language: str) -> float | None:
    """Bytes of UTF-8 over tokens; None where there is no token.

    Args:
        encode: of the vocabulary.
        texts: of one language.
        language: theirs.
    """
    tokens = count_tokens(encode, texts, language)
    return sum(count_bytes(text) for text in texts) / tokens if tokens else None


def characters_per_token(encode: Encode, texts: Sequence[str], language: str) -> float | None:
    """CPT, code points over tokens; None where there is no token.

    Args:
        encode: of the vocabulary.
        texts: of one language.
        language: theirs.
    """
    tokens = count_tokens(encode, texts, language)
    return sum(map(len, texts)) / tokens if tokens else None


def normalized_length(encode: Encode, other: Encode, texts: Sequence[str], language: str) -> float | None:
    """NSL, the tokens of one vocabulary over those of another for the same texts; None where there is no token.

    Args:
        encode: of the vocabulary.
        other: of the vocabulary that it is compared with.
        texts: of one language.
        language: theirs.
    """
    reference = count_tokens(other, texts, language)
    return count_tokens(encode, texts, language) / reference if reference else None


def count_bytes(text: str) -> int:
    """Bytes of UTF-8; a lone surrogate, which is no text, counts as the sign that replaces it."""
    return len(text.encode("utf-8", "replace"))
