"""Unigram by mixture: models and their row map go in, the model of their weighted distribution comes out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows.row_map import RowMap

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def unite_unigram(
    contents: Mapping[str, dict[str, Any]], rows: RowMap, weights: Mapping[str, float] | None
) -> dict[str, Any]:
    """The model with every piece at its row, ``p(t) = Σ_l w_l p_l(t)``.

    Limisiewicz et al. 2023, "Tokenization Impacts Multilingual Language Modeling", section 3.1 (TokMix). Where a
    member does not have a piece, its probability there is 0. Special tokens and bytes are no part of the
    distributions.

    Args:
        contents: by the member's name, its `tokenizer.json`.
        rows: their row map by surface.
        weights: of the members, by name; None for equal ones. They need not sum to 1.

    Raises:
        ConfigError: the weights are not one positive number for each member.
    """
    shares = _shares(list(contents), weights)
    texts, bare = dict[int, str](), dict[int, str]()
    mass, fixed = [0.0] * rows.n_rows, dict[int, float]()
    for name, content in contents.items():
        own = rows.members[name]
        added = {int(entry["id"]): str(entry["content"]) for entry in content["added_tokens"]}
        pieces = cast("list[tuple[str, float]]", content["model"]["vocab"])
        for id, (text, score) in enumerate(pieces):
            # the byte of a letter that only others have reads their letter's row, and takes no part in its probability
            byte = _BYTE.fullmatch(text) is not None
            (bare if byte else texts).setdefault(int(own[id]), text)
            if byte or id in added or id == content["model"].get("unk_id"):
                fixed.setdefault(int(own[id]), score)
            else:
                mass[own[id]] += shares[name] * math.exp(score)
        for id in added.keys() - range(len(pieces)):
            texts.setdefault(int(own[id]), added[id])
            fixed.setdefault(int(own[id]), 0.0)
    texts = {**bare, **texts}
    least = min((value for value in mass if value > 0), default=1.0)  # exp may have been rounded to nothing
    scores = [math.log(value) if value else fixed.get(row, math.log(least)) for row, value in enumerate(mass)]
    unknown_row = next((int(rows.members[n][c["model"]["unk_id"]]) for n, c in contents.items() if _knows(c)), None)
    first = next(iter(contents.values()))["model"]
    return {**first, "unk_id": unknown_row, "vocab": [[texts[row], score] for row, score in enumerate(scores)]}


def _knows(content: dict[str, Any]) -> bool:
    return content["model"].get("unk_id") is not None


def _shares(names: list[str], weights: Mapping[str, float] | None) -> dict[str, float]:
    given = dict.fromkeys(names, 1.0) if weights is None else dict(weights)
    wrong = [name for name, weight in given.items() if not 0.0 < weight < math.inf]
    if set(given) != set(names) or wrong:
        raise ConfigError(f"The weights {given} are not one positive number for each of {', '.join(names)}.")
    total = sum(given.values())
    return {name: given[name] / total for name in names}
