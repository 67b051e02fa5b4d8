"""A vocabulary and the row of each of its ids go in; the same vocabulary, with rows for ids, comes out."""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lightning_tying.vocab.rows.row_map import HOLE
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary


def renumber(member: SharedVocabulary, rows: NDArray[np.int32]) -> SharedVocabulary | None:
    """The vocabulary whose tokenizer writes rows itself, which saves looking up each id.

    Args:
        member: the vocabulary.
        rows: the row of each of its ids, -1 at holes.

    Returns:
        The vocabulary; None where ids are places in a list (Unigram) or two of them read one row: a BPE finds its
        merges by ids.
    """
    content = cast("dict[str, Any]", json.loads(member.to_json()))
    model = cast("dict[str, Any]", content["model"])
    real = rows[rows != HOLE]
    if model["type"] != "BPE" or len(np.unique(real)) < len(real):
        return None
    numbers = cast("list[int]", rows.tolist())
    model["vocab"] = {piece: numbers[id] for piece, id in cast("dict[str, int]", model["vocab"]).items()}
    for entry in cast("list[dict[str, Any]]", content["added_tokens"]):
        entry["id"] = numbers[entry["id"]]
    return SharedVocabulary(Tokenizer.from_str(json.dumps(content, ensure_ascii=False)))
