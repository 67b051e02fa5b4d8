"""Comparison of tokenizers: their JSON goes in; their common kind comes out, or an error that says how they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from lightning_tying.errors import ConfigError

_PARTS = {
    "normalizer": "another normalizer",
    "pre_tokenizer": "another pre-tokenizer",
    "decoder": "another decoder",
}
_OPTIONS: dict[str, tuple[str, ...]] = {
    "BPE": ("byte_fallback", "ignore_merges", "fuse_unk", "continuing_subword_prefix", "unk_token"),
    "Unigram": ("byte_fallback",),
}
_INSTEAD = "Use the row map, which unites vocabularies of any kinds."


def check_alike(contents: Mapping[str, dict[str, Any]]) -> str:
    """Refuse members that one tokenizer cannot stand for.

    Args:
        contents: by the member's name, its `tokenizer.json`.

    Returns:
        The kind of all: "BPE" (with a sign for each byte) or "Unigram".

    Raises:
        ConfigError: a kind that cannot be united into one tokenizer, two kinds, another way to cut text, added tokens
            that are not special, or special tokens that are added to each text.
    """
    names = list(contents)
    first = contents[names[0]]
    kind = str(first["model"].get("type"))
    for name, content in contents.items():
        if content["model"].get("type") != kind:
            other = content["model"].get("type")
            raise ConfigError(f"{names[0]} is a {kind} and {name} a {other}: they make no one tokenizer. {_INSTEAD}")
        _check_kind(name, content, kind)
        for part, what in _PARTS.items():
            if content.get(part) != first.get(part):
                raise ConfigError(f"{name} has {what} than {names[0]}: they make no one tokenizer. {_INSTEAD}")
        for option in _OPTIONS[kind]:
            if content["model"].get(option) != first["model"].get(option):
                raise ConfigError(
                    f"{name} has another `{option}` than {names[0]}: they make no one tokenizer. {_INSTEAD}"
                )
    return kind


def _check_kind(name: str, content: dict[str, Any], kind: str) -> None:
    if kind not in _OPTIONS:
        raise ConfigError(f"{name} is a {kind}; one tokenizer is made of byte-level BPE or of Unigram. {_INSTEAD}")
    if kind == "BPE" and '"ByteLevel"' not in json.dumps([content.get("pre_tokenizer"), content.get("decoder")]):
        raise ConfigError(f"{name} is a BPE without a sign for each byte: they make no one tokenizer. {_INSTEAD}")
    processor = cast("dict[str, Any] | None", content.get("post_processor"))
    if processor is not None and processor.get("type") != "ByteLevel":
        raise ConfigError(f"{name} adds special tokens to each text (its post-processor), by their ids. {_INSTEAD}")
    added = cast("list[dict[str, Any]]", content.get("added_tokens") or [])
    plain = [str(entry["content"]) for entry in added if not entry.get("special")]
    if plain:
        raise ConfigError(f"{name} has added tokens that are not special ({plain[0]!r}). {_INSTEAD}")
