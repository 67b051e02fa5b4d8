"""Vocabulary: what data and tasks take for one, of any of three kinds; its JSON goes in, the vocabulary comes out.

All three encode, decode and count bytes with the language as an argument: it says who reads, and where one tokenizer
serves all it changes nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeAlias, cast

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.separate_vocabularies import KIND, SeparateVocabularies
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.tokenizer_file import read_text
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary

ROWS = "rows.json"
NAMES = ("vocabulary.json", ROWS, "tokenizer.json")  # what knows more goes first

Vocabulary: TypeAlias = SharedVocabulary | UnitedVocabulary | SeparateVocabularies


def read_vocabulary(text: str, where: str = "The text") -> Vocabulary:
    """The vocabulary that a JSON text describes: one tokenizer, united members, or members with ids of their own.

    Args:
        text: what a vocabulary's `to_json` gave.
        where: how messages name the text.

    Raises:
        ConfigError: the text is no vocabulary.
    """
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        content = None  # the reader of a tokenizer says what is wrong
    keys = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    if "members" not in keys:
        return SharedVocabulary.from_json(text, where)
    if keys.get("kind") == KIND:
        return SeparateVocabularies.from_json(text, where)
    return UnitedVocabulary.from_json(text, where)


def find_vocabulary(folder: Path) -> Path:
    """The file of a folder's vocabulary: of those that are there, the one that knows most.

    Raises:
        ConfigError: there is none.
    """
    found = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if found is None:
        raise ConfigError(f"{folder} has none of {', '.join(NAMES)}, so it holds no vocabulary.")
    return found


def load_vocabulary(path: str | os.PathLike[str]) -> Vocabulary:
    """Read a vocabulary.

    Args:
        path: a file that holds what `to_json` gave; or a folder, of a run, of `vocab train` or `vocab unite`.

    Raises:
        ConfigError: there is no such file, or it is no vocabulary.
    """
    place = Path(path).expanduser()
    file = find_vocabulary(place) if place.is_dir() else place
    return UnitedVocabulary.load(place) if file.name == ROWS else read_vocabulary(read_text(file), str(file))
