"""Reading of a tokenizer's JSON: text goes in, a checked tokenizer comes out, or an error that says what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.model_checks import find_model_problem
from lightning_tying.vocab.special_tokens import EOS, PAD


def read_tokenizer(text: str, where: str) -> Tokenizer:
    """Build the tokenizer of this package that a JSON text describes.

    Args:
        text: the content of a `tokenizer.json`.
        where: how messages name it, a path or "the checkpoint".

    Raises:
        ConfigError: the text is no JSON, no BPE or Unigram with `<pad>` (id 0) and `<eos>`, or inconsistent.
    """
    return _read(text, where, ours=True)


def read_any_tokenizer(text: str, where: str) -> Tokenizer:
    """Build the tokenizer that a JSON text describes, whoever made it.

    Args:
        text: the content of a `tokenizer.json`.
        where: how messages name it.

    Raises:
        ConfigError: the text is no JSON, or a tokenizer that is inconsistent.
    """
    return _read(text, where, ours=False)


def load_any_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Build the tokenizer of a file, whoever made it.

    Raises:
        ConfigError: the file cannot be read, is no JSON, or a tokenizer that is inconsistent.
    """
    return read_any_tokenizer(read_text(path), os.fspath(path))


def read_text(path: str | os.PathLike[str]) -> str:
    """The content of a tokenizer's file.

    Raises:
        ConfigError: the file cannot be read, or is no UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{os.fspath(path)} is not UTF-8 text (byte {error.start}), so it is no vocabulary."
        ) from error
    except OSError as error:
        raise ConfigError(f"The vocabulary {os.fspath(path)} cannot be read: {error.strerror or error}.") from error


def _read(text: str, where: str, ours: bool) -> Tokenizer:
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        wanted = "a tokenizer.json that this package wrote" if ours else "a tokenizer.json"
        raise ConfigError(f"{where} is not a vocabulary: it is no JSON ({error}). Give {wanted}.") from error
    try:
        problem = (_find_foreign(data) if ours else None) or find_model_problem(data, text)
    except (TypeError, ValueError, AttributeError, IndexError) as error:  # a list where a mapping belongs
        problem = f"it is malformed ({error})"
    if problem:
        kind = "a vocabulary for this package" if ours else "a tokenizer that can be read"
        raise ConfigError(f"{where} is not {kind}: {problem}.")
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the only type that tokenizers raises
        raise ConfigError(f"{where} is not a vocabulary: tokenizers refuses it ({error}).") from error


def _find_foreign(data: Any) -> str | None:
    """What makes a tokenizer none of this package."""
    model = cast("dict[str, Any]", data).get("model") if isinstance(data, dict) else None
    if not isinstance(model, dict):
        return "it has no `model`"
    content = cast("dict[str, Any]", data)
    if cast("dict[str, Any]", model).get("type") not in ("BPE", "Unigram"):
        return "its model is not a BPE with `vocab` and `merges`, nor a Unigram model"
    entries: list[dict[str, Any]] = content.get("added_tokens") or []
    added = {str(entry.get("content")): int(entry.get("id", -1)) for entry in entries}
    if added.get(PAD) != 0:
        return f"the special token {PAD} must have the id 0"
    return None if EOS in added else f"it has no special token {EOS}"
