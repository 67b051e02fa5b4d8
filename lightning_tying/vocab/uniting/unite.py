"""unite_tokenizers: vocabularies and their row map go in, one tokenizer for the texts of all of them comes out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from tokenizers import Tokenizer

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows.members import Members, json_of
from lightning_tying.vocab.rows.row_map import RowMap
from lightning_tying.vocab.uniting.alike import check_alike
from lightning_tying.vocab.uniting.bpe import unite_bpe
from lightning_tying.vocab.uniting.unigram import unite_unigram


def unite_tokenizers(members: Members, rows: RowMap, weights: Mapping[str, float] | None = None) -> Tokenizer:
    """One tokenizer of several, which needs no language; its ids are the rows of the map.

    Byte-level BPE: the merges of all by rank, the first of each before the second of any. Unigram: the mixture of
    their distributions (Limisiewicz et al. 2023). What it cuts is near to what each member cuts, not the same; where
    that matters, keep the members and the row map (`UnitedVocabulary`).

    Args:
        members: by their names, in the order of the map.
        rows: their row map, of the policy "surface".
        weights: Unigram: the share of each member in the mixture; default equal.

    Raises:
        ConfigError: the members differ in kind or in how they cut text, the map is of another policy, or weights are
            given for BPE, which has none; only the row map unites such members.
    """
    if rows.policy != "surface":
        raise ConfigError(
            f"One tokenizer can only be made of members that share by surface; the row map's policy is {rows.policy}."
        )
    contents = {name: cast("dict[str, Any]", json.loads(json_of(members[name]))) for name in rows.members}
    kind = check_alike(contents)
    if kind == "BPE" and weights is not None:
        raise ConfigError("Weights are for Unigram vocabularies; BPE has no distribution to weigh.")
    model = unite_bpe(contents, rows) if kind == "BPE" else unite_unigram(contents, rows, weights)
    first = next(iter(contents.values()))
    united = {**first, "model": model, "added_tokens": _unite_added(contents, rows)}
    return Tokenizer.from_str(json.dumps(united, ensure_ascii=False))


def _unite_added(contents: Mapping[str, dict[str, Any]], rows: RowMap) -> list[dict[str, Any]]:
    """The special tokens of all, each once, under the spelling of the first member that has it."""
    added: dict[int, dict[str, Any]] = {}
    for name, content in contents.items():
        for entry in cast("list[dict[str, Any]]", content["added_tokens"]):
            row = int(rows.members[name][entry["id"]])
            added.setdefault(row, {**entry, "id": row})
    return [added[row] for row in sorted(added)]
