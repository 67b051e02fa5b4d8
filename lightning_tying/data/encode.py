"""Encoding of many texts: texts, a vocabulary and their language go in, flat arrays of tokens and lengths come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from lightning_tying.vocab.vocabulary import Vocabulary

_CHUNK = 2048  # texts encoded at a time
_AT_ONCE = 2  # while one chunk's ids become an array, which Python does alone, another one is encoded


def encode_texts(
    texts: Sequence[str], vocabulary: Vocabulary, language: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """The tokens of texts, some thousands of texts at a time.

    Args:
        texts: of one language.
        vocabulary: what encodes them.
        language: who reads them.

    Yields:
        The lengths of some texts, int64 [texts], and their tokens one after the other, int32; each ends with `<eos>`.
    """
    chunks = [texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(partial(_encode_flat, vocabulary=vocabulary, language=language), chunks)


def _encode_flat(
    texts: Sequence[str], vocabulary: Vocabulary, language: str
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    if not isinstance(vocabulary, UnitedVocabulary):
        return flatten(vocabulary.encode_many(texts, language), vocabulary.eos_id)
    name = vocabulary.member_of(language)
    member = vocabulary.members[name]
    lengths, ids = flatten(member.encode_many(texts), member.eos_id)
    # one gather over all of them: text by text, in lists, it would cost more than the encoding
    return lengths, vocabulary.rows.rows_of(name)[ids]


def flatten(ids: Sequence[list[int]], eos_id: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Lists of ids as the lengths of all (int64), and all ids with `eos_id` after each list (int32)."""
    lengths = np.fromiter(map(len, ids), np.int64, len(ids)) + 1
    ends = np.cumsum(lengths)
    flat = np.empty(int(ends[-1]) if len(ends) else 0, np.int32)
    inside = np.ones(len(flat), bool)
    inside[ends - 1] = False
    flat[inside] = np.fromiter(chain.from_iterable(ids), np.int32, len(flat) - len(ids))
    flat[ends - 1] = eos_id
    return lengths, flat
