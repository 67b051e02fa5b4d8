"""Merge trees: a BPE's merges and its pieces in use go in; every piece that they are merged from comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from lightning_tying.vocab.merges import Merge


def find_ancestors(pieces: Iterable[str], merges: Sequence[Merge]) -> set[str]:
    """The pieces, and all that they are merged from down to single signs.

    A piece is merged in the same way wherever it ends up whole: a merge across its borders would have consumed it.
    So the tree of the piece alone is its tree in every text.

    Args:
        pieces: of the model's vocabulary.
        merges: by rank.
    """
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    found: set[str] = set()
    for piece in pieces:
        if piece not in found:
            found |= _climb(piece, ranks)
    return found


def _climb(piece: str, ranks: Mapping[Merge, int]) -> set[str]:
    """All that the merges of a piece pass through: the first merge by rank, everywhere, from left to right."""
    parts = list(piece)
    seen = {piece, *parts}
    while len(parts) > 1:
        pair = min(pairwise(parts), key=lambda each: ranks.get(each, len(ranks)))
        if pair not in ranks:
            break
        parts = _join(parts, pair)
        seen |= set(parts)
    return seen


def _join(parts: Sequence[str], pair: Merge) -> list[str]:
    joined: list[str] = []
    place = 0
    while place < len(parts):
        if place + 1 < len(parts) and (parts[place], parts[place + 1]) == pair:
            joined.append(parts[place] + parts[place + 1])
            place += 2
        else:
            joined.append(parts[place])
            place += 1
    return joined
