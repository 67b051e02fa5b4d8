"""A helper space: a vocabulary and, where there are any, texts go in; a vector for each id comes out.

Pieces are near each other that are spelled alike and, with texts, that stand beside the same pieces.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lightning_tying.vocab.row_origins import texts_of_rows
from lightning_tying.vocab.vocabulary import Vocabulary

DIMENSIONS = 256  # of each half
WINDOW = 3  # neighbors on each side
_SPELLING = 0.5  # the weight of spelling beside what the texts say
_CHUNK = 65_536  # pairs at a time: each is a row of DIMENSIONS numbers
_SEED = 0

Floats = NDArray[np.float32]


def make_piece_vectors(vocabulary: Vocabulary, texts: Mapping[str, Sequence[str]] | None = None) -> Floats:
    """Place the ids of a vocabulary in a space; the same input gives the same vectors in every process.

    Args:
        vocabulary: whose ids, or rows, are placed.
        texts: texts of each language. Without them spelling alone decides.

    Returns:
        Vectors of length 1 or, for what nothing is known of, 0: float32 [ids, dimensions].
    """
    spelling = spell_vectors(texts_of_rows(vocabulary))
    if texts is None:
        return spelling
    encoded = (ids for language, lines in texts.items() for ids in vocabulary.encode_many(lines, language))
    beside = neighbor_vectors(encoded, vocabulary.size)
    return _normalize(np.concatenate([beside, _SPELLING * spelling], axis=1))


def spell_vectors(pieces: Sequence[bytes | None]) -> Floats:
    """Hashed n-grams of 2 to 5 bytes, with the ends of the piece as signs of their own (Bojanowski et al. 2017).

    Args:
        pieces: the bytes of each id; None for what stands for no text.
    """
    vectors = np.zeros((len(pieces), DIMENSIONS), np.float32)
    for id, piece in enumerate(pieces):
        for gram in _grams(piece) if piece else ():
            number = zlib.crc32(gram)
            vectors[id, number % DIMENSIONS] += 1.0 if number >> 31 else -1.0
    return _normalize(vectors)


def neighbor_vectors(encoded: Iterator[list[int]], size: int) -> Floats:
    """Positive pointwise mutual information of neighbors, projected at random (Sahlgren 2005, random indexing).

    Args:
        encoded: the ids of each text.
        size: of the vocabulary.
    """
    keys, counts = _count_pairs([np.array(ids, np.int64) for ids in encoded if len(ids) > 1], size)
    vectors = np.zeros((size, DIMENSIONS), np.float32)
    if not len(keys):
        return vectors
    left, right = keys // size, keys % size
    sums = np.bincount(left, counts, minlength=size)
    information = np.log(counts * counts.sum() / (sums[left] * sums[right]))
    signs = np.random.default_rng(_SEED).choice(np.array([-1.0, 1.0], np.float32), (size, DIMENSIONS))
    for start in range(0, len(keys), _CHUNK):
        part = slice(start, start + _CHUNK)
        values = np.maximum(information[part], 0.0).astype(np.float32)[:, None] * signs[right[part]]
        rows, first = np.unique(left[part], return_index=True)  # keys are sorted, so rows stand together
        vectors[rows] += np.add.reduceat(values, first)
    return _normalize(vectors)


def _count_pairs(texts: Sequence[NDArray[np.int64]], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of neighbors as `left * size + right`, sorted, and how often each is there."""
    pairs = [
        np.concatenate([ids[:-step] * size + ids[step:], ids[step:] * size + ids[:-step]])
        for ids in texts
        for step in range(1, min(WINDOW, len(ids) - 1) + 1)
    ]
    if not pairs:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    keys, counts = np.unique(np.concatenate(pairs), return_counts=True)
    return keys, counts.astype(np.int64)


def _grams(piece: bytes) -> Iterator[bytes]:
    marked = b"\0" + piece + b"\1"
    yield marked
    for length in range(2, 6):
        yield from (marked[start : start + length] for start in range(len(marked) - length + 1))


def _normalize(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
