"""A vocabulary and texts by language in; the rows of its table by kind and language out, each row in one group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

SPECIAL, TAGS, BYTES, UNSEEN = "special tokens", "language tags", "bytes", "in no text"
MOST_SIGNS = 1 << 20  # of text, of all languages together, that are encoded once to see whose pieces are whose


def group_pieces(data: Any, rows: int) -> dict[str, Tensor]:
    """Divide the rows of a table by what they stand for; empty groups are left out.

    A piece belongs to the language in whose training texts it makes the largest part of the tokens, seen in evenly
    spaced texts of each.

    Args:
        data: a datamodule with a `vocabulary` that `has_pieces`; without `split_text` nothing is told by language.
        rows: of the table, not fewer than the vocabulary has.

    Returns:
        The numbers of the rows of each group: special tokens, language tags, bytes, `pieces: de`, and those in no
        text; without texts pieces by their order, as `group_bands`.
    """
    kinds: dict[str, Tensor] = {}
    owner = torch.full((rows,), -1)
    texts = _read_texts(data)
    if texts:
        counts = torch.stack([_count(data.vocabulary, language, listed, rows) for language, listed in texts.items()])
        shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
        owner = torch.where(counts.sum(dim=0) > 0, shares.argmax(dim=0), -1)
    for name, ids in _list_kinds(data.vocabulary, texts or data.vocabulary.language_ids):
        kinds[name] = torch.tensor(sorted(ids), dtype=torch.int64)
        owner[kinds[name]] = -2
    for place, language in enumerate(texts):
        kinds[f"pieces: {language}"] = (owner == place).nonzero().flatten()
    if texts:
        kinds[UNSEEN] = (owner == -1).nonzero().flatten()
    else:
        kinds |= {name: ids[owner[ids] == -1] for name, ids in group_bands(rows).items()}
    return {name: ids for name, ids in kinds.items() if len(ids)}


def has_pieces(vocabulary: object) -> bool:
    """Whether each row stands for the same in every language: a vocabulary of this package that is not separate."""
    names = ("size", "pad_id", "eos_id", "language_ids", "byte_counts", "encode_many")
    separate = hasattr(vocabulary, "members") and not hasattr(vocabulary, "rows")
    return not separate and all(hasattr(vocabulary, name) for name in names)


def group_bands(rows: int) -> dict[str, Tensor]:
    """Rows by their order, which is mostly that of their frequency: `rows 0 to 99`, `rows 100 to 999`, and so on."""
    bands: dict[str, Tensor] = {}
    start, stop = 0, 100
    while start < rows:
        last = min(stop, rows) - 1
        bands[f"rows {start:,} to {last:,}"] = torch.arange(start, last + 1)
        start, stop = stop, 10 * stop
    return bands


def _list_kinds(vocabulary: Any, languages: Iterable[str]) -> Iterable[tuple[str, set[int]]]:
    tags = set(cast("Mapping[str, int]", vocabulary.language_ids).values())
    special: set[int] = {vocabulary.pad_id, vocabulary.eos_id}
    yield SPECIAL, special
    yield TAGS, tags
    single: set[int] = set()
    for language in languages:
        single |= {id for id, count in enumerate(vocabulary.byte_counts(language)) if count == 1}
    yield BYTES, single - special - tags


def _read_texts(data: Any) -> Mapping[str, Sequence[str]]:
    if not callable(getattr(data, "split_text", None)):
        return {}
    found = cast("Mapping[str, Sequence[str]]", data.split_text("train"))
    most = MOST_SIGNS // max(1, len(found))
    return {language: _spread(texts, most) for language, texts in found.items()}


def _spread(texts: Sequence[str], most: int) -> Sequence[str]:
    """Evenly spaced texts with about so many signs, each text no longer than they."""
    step = max(1, sum(map(len, texts)) // most)
    return [text[:most] for text in texts[::step]]


def _count(vocabulary: Any, language: str, texts: Sequence[str], rows: int) -> Tensor:
    ids = [id for encoded in vocabulary.encode_many(texts, language) for id in encoded if id < rows]
    return torch.bincount(torch.tensor(ids, dtype=torch.int64), minlength=rows).double()
