"""How measures reach a vocabulary: texts and their language go in, ids come out; the same text is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Encode: TypeAlias = Callable[[Sequence[str], str], list[list[int]]]
"""Texts and their language in; the ids of each text, without tags and special tokens, out."""

Decode: TypeAlias = Callable[[Sequence[int], str], str]
"""Ids and their language in, the text out."""

Messages: TypeAlias = Mapping[str, Mapping[str, str]]
"""Language → key → text; equal keys are translations of each other."""


def remember(encode: Encode) -> Encode:
    """The same encoding, which keeps what it has encoded: several measures of one text cost one pass.

    Args:
        encode: of the vocabulary.
    """
    kept: dict[str, dict[str, list[int]]] = {}

    def encode_once(texts: Sequence[str], language: str) -> list[list[int]]:
        known = kept.setdefault(language, {})
        new = list(dict.fromkeys(text for text in texts if text not in known))
        known.update(zip(new, encode(new, language), strict=True))
        return [known[text] for text in texts]

    return encode_once


def count_tokens(encode: Encode, texts: Sequence[str], language: str) -> int:
    """How many tokens the texts are.

    Args:
        encode: of the vocabulary.
        texts: of one language.
        language: theirs.
    """
    return sum(map(len, encode(texts, language)))
