"""Byte-level BPE by rank: models and their row map go in, the model with the merges of all of them comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, cast

from lightning_tying.vocab.merges import Merge, read_merges
from lightning_tying.vocab.rows.row_map import RowMap


def unite_bpe(contents: Mapping[str, dict[str, Any]], rows: RowMap) -> dict[str, Any]:
    """The model with every piece at its row, and every merge at the best rank that a member gives it.

    Merges are taken in turn: the first of each member, then the second of each, and so on. One language after the
    other would let the first language's merges cut the texts of all. A word that is a piece of any member stays whole
    (`ignore_merges`), since the merges of others would often end beside it.

    Args:
        contents: by the member's name, its `tokenizer.json`.
        rows: their row map by surface.
    """
    first = next(iter(contents.values()))["model"]
    pieces: dict[str, int] = {}
    for name, content in contents.items():
        own = rows.members[name]
        for text, id in cast("dict[str, int]", content["model"]["vocab"]).items():
            pieces.setdefault(text, int(own[id]))
    ordered = dict(sorted(pieces.items(), key=lambda item: item[1]))
    merges = dict.fromkeys(_in_turn([list(read_merges(content["model"])) for content in contents.values()]))
    # a dropout is for training one model; it is saved, and would cut the texts of all at random
    whole = {"dropout": None, "ignore_merges": True}
    return {**first, **whole, "vocab": ordered, "merges": [list(merge) for merge in merges]}


def _in_turn(ranked: list[list[Merge]]) -> Iterator[Merge]:
    for rank in zip_longest(*ranked):
        yield from (merge for merge in rank if merge is not None)
