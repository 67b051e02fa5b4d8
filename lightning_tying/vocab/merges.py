"""The merges of a BPE: the model of a tokenizer's JSON goes in, pairs of pieces come out, by rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

Merge: TypeAlias = tuple[str, str]


def read_merges(model: Mapping[str, Any]) -> Iterator[Merge]:
    """The merges, the first learned first; old files write a merge as one text with a blank.

    Args:
        model: the `model` of a `tokenizer.json`, a BPE.
    """
    for merge in cast("list[str | list[str]]", model["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        yield left, right
