"""Trimming: a vocabulary and texts go in; the same without what these texts never use, and an id map, come out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.canonical import canonical_pieces
from lightning_tying.vocab.extending.merge_trees import find_ancestors
from lightning_tying.vocab.merges import read_merges
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary

GONE = -1


@final
@dataclass(frozen=True, eq=False)
class Trimmed:
    """A trimmed vocabulary.

    Args:
        vocabulary: its ids have no holes and the order of the old ones.
        new_ids: int32 [old ids], the new id of each old one; -1 where it is gone.
    """

    vocabulary: SharedVocabulary
    new_ids: NDArray[np.int32]


def trim_vocabulary(vocabulary: SharedVocabulary, texts: Mapping[str, Sequence[str]]) -> Trimmed:
    """Leave out what some texts never use; they are cut as before.

    What stays: special tokens, bytes, the pieces that the texts use, and of a BPE all that those are merged from.

    Args:
        vocabulary: a BPE or a Unigram; it stays as it is.
        texts: by language.

    Raises:
        ConfigError: there are no texts, or the vocabulary has parts that name ids.
    """
    if not any(line for lines in texts.values() for line in lines):
        raise ConfigError("There are no texts, and nothing would be left of the vocabulary; give some.")
    data = cast("dict[str, Any]", json.loads(vocabulary.to_json()))
    _check_parts(data)
    used = {id for lines in texts.values() for ids in vocabulary.encode_many(lines) for id in ids}
    keep = _find_kept(vocabulary, data, used)
    order = {id: number for number, id in enumerate(sorted(keep))}
    trimmed = SharedVocabulary.from_json(json.dumps(_renumber(data, order), ensure_ascii=False), "The trimmed one")
    new_ids = np.full(vocabulary.size, GONE, np.int32)
    new_ids[list(order)] = list(order.values())
    return Trimmed(trimmed, new_ids)


def _find_kept(vocabulary: SharedVocabulary, data: Mapping[str, Any], used: set[int]) -> set[int]:
    """Old ids that stay."""
    pieces = canonical_pieces(Tokenizer.from_str(vocabulary.to_json()))
    keep = used | {
        id
        for id, piece in enumerate(pieces)
        if piece is not None
        and (piece.special or piece.spelling != "piece" or len(piece.content) + piece.word_start == 1)
    }
    model = data["model"]
    if model["type"] != "BPE":
        return keep
    ids = cast("Mapping[str, int]", model["vocab"])
    names = {id: name for name, id in ids.items()}
    ancestors = find_ancestors((names[id] for id in used if id in names), list(read_merges(model)))
    return keep | {ids[name] for name in ancestors if name in ids}


def _renumber(data: Mapping[str, Any], order: Mapping[int, int]) -> dict[str, Any]:
    model = dict(data["model"])
    if model["type"] == "BPE":
        vocabulary = {name: order[id] for name, id in model["vocab"].items() if id in order}
        # a merge of three pieces that stay cannot change a text that did not use it: its rank lost there before, too
        model["merges"] = [list(pair) for pair in read_merges(model) if {*pair, "".join(pair)} <= vocabulary.keys()]
        model["vocab"] = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    else:
        model["vocab"] = [entry for id, entry in enumerate(model["vocab"]) if id in order]
        model["unk_id"] = None if model.get("unk_id") is None else order[model["unk_id"]]
    added = [{**token, "id": order[token["id"]]} for token in data["added_tokens"]]
    return {**data, "added_tokens": added, "model": model}


def _check_parts(data: Mapping[str, Any]) -> None:
    """Refuse parts of a tokenizer that name ids, or pieces that are no plain concatenations."""
    model, after = data["model"], data.get("post_processor")
    if model["type"] not in ("BPE", "Unigram"):
        raise ConfigError(f"A vocabulary is trimmed where it is a BPE or a Unigram, and this is a {model['type']}.")
    if after is not None and after.get("type") != "ByteLevel":
        raise ConfigError(f"The vocabulary has a post-processor ({after.get('type')}) that names ids; remove it first.")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise ConfigError("The vocabulary marks parts of words by prefixes or suffixes; it cannot be trimmed.")
