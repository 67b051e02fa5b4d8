"""How the rows of a vocabulary are used: ids of texts go in; counts, Rényi efficiency and dead rows come out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Counts: TypeAlias = NDArray[np.int64]


def count_rows(encoded: Iterable[Sequence[int]], size: int) -> Counts:
    """How often each id occurs, int64 [size].

    Args:
        encoded: the ids of each text.
        size: ids are below it.
    """
    ids = np.fromiter(chain.from_iterable(encoded), np.int64)
    return np.bincount(ids, minlength=size).astype(np.int64)


def renyi_efficiency(counts: Counts, alpha: float = 2.5, rows: int | None = None) -> float | None:
    """``H_α(p) / log |V|``: how evenly the rows are used (Zouhar et al. 2023, equation 5).

    It goes along with translation quality over many vocabularies, and there are counterexamples (arXiv 2402.14614):
    look at it, do not optimize it.

    Args:
        counts: of each row.
        alpha: the order; 1 is Shannon's entropy.
        rows: ``|V|``; None for the rows that occur, as tokenization-scorer takes it.

    Returns:
        From 0 to 1; None where fewer than two rows are counted.
    """
    used = counts[counts > 0].astype(np.float64)
    size = used.size if rows is None else rows
    if size < 2 or not used.size:
        return None
    shares = used / used.sum()
    if alpha == 1:
        entropy = -float((shares * np.log(shares)).sum())
    else:
        entropy = float(np.log((shares**alpha).sum())) / (1 - alpha)
    return abs(entropy) / float(np.log(size))  # the entropy of one row may come out as -0


def dead_rows(counts: Counts, pieces: Iterable[int]) -> list[int]:
    """The pieces that no text uses: their embeddings are never trained.

    Args:
        counts: of each row, over all languages.
        pieces: the ids that stand for text, without special tokens and holes.
    """
    return sorted(id for id in pieces if not counts[id])
