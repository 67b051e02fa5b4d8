"""Checks of a tokenizer's content: the JSON goes in, what is wrong with it comes out, before `tokenizers` panics at it.

A Rust panic is no `Exception`: nothing that a program usually catches would stop it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

_KINDS = ("BPE", "Unigram", "WordPiece", "WordLevel")
MAX_ID = 100_000_000  # a table is as long as the largest id


def find_model_problem(data: Any, text: str) -> str | None:
    """What is wrong with a tokenizer's model, or None.

    Args:
        data: the JSON of a tokenizer.
        text: the same as text, to find the line of a mistake.

    Raises:
        TypeError, ValueError, AttributeError, IndexError: the content has another shape than a tokenizer's.
    """
    model = cast("dict[str, Any]", data).get("model") if isinstance(data, dict) else None
    if not isinstance(model, dict):
        return "it has no `model`"
    content = cast("dict[str, Any]", model)
    kind = content.get("type") or _guess_kind(content)
    if kind not in _KINDS:
        return f"its model is {kind!r}, none of {', '.join(_KINDS)}"
    return _find_unigram_problem(content) if kind == "Unigram" else _find_table_problem(content, kind == "BPE", text)


def _guess_kind(model: Mapping[str, Any]) -> str | None:
    """Files of old versions do not say what they are."""
    if isinstance(model.get("vocab"), list):
        return "Unigram"
    if "merges" in model:
        return "BPE"
    return "WordPiece" if "continuing_subword_prefix" in model else None


def _find_table_problem(model: Mapping[str, Any], has_merges: bool, text: str) -> str | None:
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocabulary, dict) or (has_merges and not isinstance(merges, list)):
        return "its model is not a BPE with `vocab` and `merges`" if has_merges else "its model has no `vocab`"
    pieces = cast("dict[str, Any]", vocabulary)
    if not pieces:
        return "its model has no pieces"
    problem = _find_bad_id(pieces)
    prefix = str(model.get("continuing_subword_prefix") or "")
    return problem or (_find_broken_merge(pieces, cast("list[Any]", merges), prefix, text) if has_merges else None)


def _find_bad_id(pieces: Mapping[str, Any]) -> str | None:
    for piece, id in pieces.items():
        if not isinstance(id, int) or isinstance(id, bool) or not 0 <= id < MAX_ID:
            return f"the piece {piece!r} has the id {id!r}, which is no number from 0 to {MAX_ID - 1}"
    id, count = Counter(pieces.values()).most_common(1)[0]
    if count > 1:
        names = [piece for piece, other in pieces.items() if other == id]
        return f"{count} pieces have the id {id}: {', '.join(map(repr, names[:3]))}"
    return None


def _find_unigram_problem(model: Mapping[str, Any]) -> str | None:
    entries: list[Any] = model.get("vocab") or []
    if not entries:
        return "its model has no `vocab`"
    for place, entry in enumerate(entries):
        if len(entry) != 2 or not isinstance(entry[0], str) or not isinstance(entry[1], (int, float)):
            return f"entry {place} of `vocab` is {entry!r}, and not a piece with its score"
    piece, count = Counter(str(entry[0]) for entry in entries).most_common(1)[0]
    if count > 1:
        return f"the piece {piece!r} stands in `vocab` {count} times, so that it has {count} ids"
    unknown = model.get("unk_id")
    if unknown is not None and not 0 <= int(unknown) < len(entries):
        return f"`unk_id` is {unknown}, and there are {len(entries)} pieces"
    return None


def _find_broken_merge(pieces: Mapping[str, Any], merges: list[Any], prefix: str, text: str) -> str | None:
    for place, merge in enumerate(merges):
        parts: list[str] = merge.split(" ") if isinstance(merge, str) else [str(part) for part in merge]
        if len(parts) != 2:
            return f"merge {place}{_line_of(place, text)} has {len(parts)} parts: {parts}"
        joined = parts[0] + parts[1].removeprefix(prefix)
        missing = [piece for piece in (*parts, joined) if piece not in pieces]
        if missing:
            return f"the merge {parts}{_line_of(place, text)} names the piece {missing[0]!r}, which is not in `vocab`"
    return None


def _line_of(place: int, text: str) -> str:
    """` (line 17)`: where the merge of this number stands, for a file of more than one line."""
    if "\n" not in text.strip():
        return f" (number {place})"
    start = next(_ends_of_merges(place, text), None)
    return f" (number {place})" if start is None else f" (line {text.count(chr(10), 0, start) + 1})"


def _ends_of_merges(place: int, text: str) -> Iterator[int]:
    """Where the merge of a number begins."""
    decoder = json.JSONDecoder()
    at = text.find("[", text.rfind('"merges"')) + 1
    for number in range(place + 1):
        while text[at] in " \t\r\n,":
            at += 1
        if number == place:
            yield at
        _, at = decoder.raw_decode(text, at)
