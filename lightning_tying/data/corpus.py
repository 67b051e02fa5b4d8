"""Corpus: the messages of each language by key go in, the same in three splits without overlap come out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Messages = Mapping[str, Mapping[str, str]]

CONTEXT_END = "\x04"  # gettext's own sign between a message's context and its id
_TEST, _VAL = 10, 5  # percent of the message ids


@final
@dataclass(frozen=True)
class Corpus:
    """The texts of each split by language and key; equal keys in two languages are translations of each other.

    Args:
        splits: split → language → key → text, normalized.
    """

    splits: Mapping[Split, Messages]

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of everything in it, order included."""
        content = json.dumps(self.splits, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def languages(self) -> list[str]:
        """The languages, in the order of the tags."""
        return list(self.splits["train"])

    def texts(self, split: Split) -> dict[str, list[str]]:
        """The texts of a split by language."""
        return {language: list(messages.values()) for language, messages in self.splits[split].items()}

    def without(self, languages: Collection[str]) -> Corpus:
        """The corpus without these languages."""
        return Corpus(
            {
                split: {language: texts for language, texts in messages.items() if language not in languages}
                for split, messages in self.splits.items()
            }
        )


def split_of(key: str) -> Split:
    """The split of a message: decided by a hash of the message id alone, so that it is the same in every language.

    The context, letter case and all signs but letters and digits are left out of the hash, so that "Log in" and
    "Log in:" cannot end in two splits.

    Args:
        key: the message id, after its context and `CONTEXT_END` where it has one.
    """
    message = key.rpartition(CONTEXT_END)[2]
    core = "".join(filter(str.isalnum, message.casefold())) or message
    place = int.from_bytes(hashlib.sha256(core.encode("utf-8", "replace")).digest()[:8], "big") % 100
    if place < _TEST:
        return "test"
    return "val" if place < _TEST + _VAL else "train"


def split_messages(messages: Messages, unique: bool) -> Corpus:
    """Put each message in its split, and drop from val and test what an earlier split says already.

    Two ids may have one translation ("Log in", "Sign in"); without that a test text could have been trained on.

    Args:
        messages: language → key → text.
        unique: keep each text of a language once only; translation keeps all, as the other side may differ.
    """
    splits: dict[Split, dict[str, dict[str, str]]] = {split: {} for split in SPLITS}
    for language, texts in messages.items():
        parts: dict[Split, dict[str, str]] = {split: {} for split in SPLITS}
        for key, text in texts.items():
            parts[split_of(key)][key] = text
        seen: set[str] = set()
        for split in SPLITS:
            kept = {key: text for key, text in parts[split].items() if text not in seen}
            seen.update(kept.values())
            splits[split][language] = _drop_repeats(kept) if unique else kept
    return Corpus(splits)


def align(messages: Messages) -> dict[str, dict[str, str]]:
    """The messages whose key every language has, in the order of the first one's.

    Args:
        messages: language → key → text.
    """
    first = list(messages)[:1]
    keys = [key for language in first for key in messages[language] if all(key in texts for texts in messages.values())]
    return {language: {key: texts[key] for key in keys} for language, texts in messages.items()}


def _drop_repeats(texts: Mapping[str, str]) -> dict[str, str]:
    first: dict[str, str] = {}
    for key, text in texts.items():
        first.setdefault(text, key)
    return {key: text for text, key in first.items()}
