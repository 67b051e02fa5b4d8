"""make_row_map: several vocabularies and a policy go in, the row map that says who shares comes out."""

from __future__ import annotations

from typing import Literal, TypeVar, get_args

import numpy as np

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries.dictionary import Dictionary
from lightning_tying.vocab.rows.grouped import dictionary_keys
from lightning_tying.vocab.rows.keys import Keys, Pieces, number_rows, own_keys, surface_keys
from lightning_tying.vocab.rows.members import Members, digest_of, pieces_of, specials_of
from lightning_tying.vocab.rows.row_map import RowMap
from lightning_tying.vocab.rows.similar import similar_keys
from lightning_tying.vocab.words import Parallel

Policy = Literal["surface", "surface_similar", "dictionary", "none"]
POLICIES: tuple[str, ...] = get_args(Policy)


def make_row_map(
    vocabularies: Members,
    policy: str = "surface",
    *,
    parallel: Parallel | None = None,
    dictionary: Dictionary | None = None,
    threshold: float = 0.5,
    synonyms: bool = False,
) -> RowMap:
    """Decide which ids of several vocabularies read one row.

    Special tokens of one name meet under every policy; `[PAD]` is `<pad>`, `</s>` is `<eos>`. The same vocabularies in
    the same order give the same map.

    Args:
        vocabularies: by their names; where a policy needs to know the language, the name is its code.
        policy: "surface" (pieces that stand for the same text), "surface_similar" (without false friends, by
            `parallel`), "dictionary" (by surface, and the words of each group of `dictionary`), "none" (special
            tokens only).
        parallel: for "surface_similar": language → key → text.
        dictionary: for "dictionary": groups of words.
        threshold: for "surface_similar": Dice's coefficient below which two word forms part.
        synonyms: for "dictionary": whether several words of one language may read one row.

    Raises:
        ConfigError: an unknown policy, one without what it needs, or vocabularies that cannot be compared.
    """
    if policy not in POLICIES:
        raise ConfigError(f"There is no sharing policy {policy!r}. There are: {', '.join(POLICIES)}.")
    pieces: dict[str, Pieces] = dict(pieces_of(vocabularies))
    if policy == "surface_similar":
        keys = similar_keys(pieces, _require(parallel, policy, "parallel text"), threshold)
    elif policy == "dictionary":
        keys = dictionary_keys(pieces, _require(dictionary, policy, "a dictionary"), synonyms=synonyms)
    else:
        keys = {name: _simple_keys(policy, name, own) for name, own in pieces.items()}
    rows, count = number_rows(keys)
    return RowMap(
        {name: np.array(own, np.int32) for name, own in rows.items()},
        count,
        {name: digest_of(member) for name, member in vocabularies.items()},
        policy,
        {name: specials_of(member) for name, member in vocabularies.items()},
    )


def _simple_keys(policy: str, name: str, pieces: Pieces) -> Keys:
    return surface_keys(pieces) if policy == "surface" else own_keys(name, pieces)


T = TypeVar("T")


def _require(value: T | None, policy: str, what: str) -> T:
    if value is None:
        raise ConfigError(f"The policy {policy} needs {what}, and none was given.")
    return value
