"""Reading of a tokenizer's JSON: text goes in, a checked tokenizer comes out, or an error that says what is wrong."""

from __future__ import annotations

import json
from typing import Any, cast

from tokenizers import Tokenizer

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.train import EOS, PAD


def read_tokenizer(text: str, where: str) -> Tokenizer:
    """Build the tokenizer that a JSON text describes.

    Args:
        text: the content of a `tokenizer.json`.
        where: how messages name it, a path or "the checkpoint".

    Raises:
        ConfigError: the text is no JSON, no byte-level BPE with `<pad>` (id 0) and `<eos>`, or inconsistent.
    """
    try:
        data: Any = json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"{where} is not a vocabulary: it is no JSON ({error}). Give a tokenizer.json that this package wrote."
        ) from error
    try:
        problem = _find_problem(data)
    except (TypeError, ValueError, AttributeError) as error:  # a list where a mapping belongs, a word for a number
        problem = f"it is malformed ({error})"
    if problem:
        raise ConfigError(f"{where} is not a vocabulary for this package: {problem}.")
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the only type that tokenizers raises
        raise ConfigError(f"{where} is not a vocabulary: tokenizers refuses it ({error}).") from error


def _find_problem(data: Any) -> str | None:
    model = cast("dict[str, Any]", data).get("model") if isinstance(data, dict) else None
    if not isinstance(model, dict):
        return "it has no `model`"
    model = cast("dict[str, Any]", model)
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if model.get("type") != "BPE" or not isinstance(vocabulary, dict) or not isinstance(merges, list):
        return "its model is not a BPE with `vocab` and `merges`"
    pieces = cast("dict[str, Any]", vocabulary)
    added = _added_tokens(cast("dict[str, Any]", data))
    return _find_missing_token(added) or _find_broken_merge(pieces, cast("list[Any]", merges))


def _added_tokens(data: dict[str, Any]) -> dict[str, int]:
    entries: list[dict[str, Any]] = data.get("added_tokens") or []
    return {str(entry.get("content")): int(entry.get("id", -1)) for entry in entries}


def _find_missing_token(added: dict[str, int]) -> str | None:
    if added.get(PAD) != 0:
        return f"the special token {PAD} must have the id 0"
    return None if EOS in added else f"it has no special token {EOS}"


def _find_broken_merge(pieces: dict[str, Any], merges: list[Any]) -> str | None:
    """A merge without its result makes tokenizers panic, which no `except Exception` catches."""
    for merge in merges:
        parts: list[str] = merge.split(" ") if isinstance(merge, str) else [str(part) for part in merge]
        missing = [piece for piece in (*parts, "".join(parts)) if piece not in pieces]
        if missing:
            return f"the merge {parts} names the piece {missing[0]!r}, which is not in `vocab`"
    return None
