"""The vocabulary of a command line: a file or folder goes in, what can be measured of it comes out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.measures.spelling import Spelling, spell_tokenizer, spell_vocabulary
from lightning_tying.vocab.measures.subject import Subject, make_subject
from lightning_tying.vocab.measures.tokenizer_subject import make_tokenizer_subject
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.tokenizer_file import read_any_tokenizer, read_text
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from lightning_tying.vocab.vocabulary import ROWS, Vocabulary, find_vocabulary, read_vocabulary

REPORT = "vocabulary_report.json"


@dataclass(frozen=True)
class Source:
    """A vocabulary that was read.

    Args:
        path: its file.
        subject: how it encodes.
        spelling: the text of each id.
        languages: the only ones that it can write, where its members have one each; None for any.
    """

    path: Path
    subject: Subject
    spelling: Spelling
    languages: tuple[str, ...] | None = None


def read_source(path: Path) -> Source:
    """Read a vocabulary of this package, or the `tokenizer.json` of any library.

    Args:
        path: the file; or a folder, of a run, of `vocab train` or `vocab unite`, or of a model of `transformers`.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    if not path.exists():
        raise ConfigError(f"There is no vocabulary {path}; give a tokenizer.json, or a folder that has one.")
    file = find_vocabulary(path) if path.is_dir() else path
    name = str(path)
    if file.name == ROWS:
        return _own(file, UnitedVocabulary.load(path), name)
    text = read_text(file)
    if _is_own(text):
        return _own(file, read_vocabulary(text, str(file)), name)
    tokenizer = read_any_tokenizer(text, str(file))
    return Source(file, make_tokenizer_subject(tokenizer, name), spell_tokenizer(tokenizer))


def read_bits(path: Path) -> tuple[dict[str, float], str] | None:
    """The bits per byte of the model that a run trained, by language, and the stage in which they were measured.

    Args:
        path: of the run's folder.

    Returns:
        None where the run measured none.
    """
    try:
        content: Any = json.loads((path / REPORT).read_text(encoding="utf-8"))
        found = {str(each["language"]): each["bits_per_byte"] for each in content["languages"]}
        stage: Any = content["bits_from"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    bits = {language: float(value) for language, value in found.items() if isinstance(value, int | float)}
    return (bits, str(stage)) if bits and stage else None


def _own(file: Path, vocabulary: Vocabulary, name: str) -> Source:
    languages = None if isinstance(vocabulary, SharedVocabulary) else tuple(vocabulary.language_ids)
    return Source(file, make_subject(vocabulary, name), spell_vocabulary(vocabulary), languages)


def _is_own(text: str) -> bool:
    """Whether this package wrote the file: united or separate members, or `<pad>` as id 0 and `<eos>` as id 1."""
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False  # the reader of a tokenizer says what is wrong
    if not isinstance(content, dict):
        return False
    data = cast("dict[str, Any]", content)
    added: Any = data.get("added_tokens")
    if "members" in data or not isinstance(added, list):
        return "members" in data
    entries = [cast("dict[str, Any]", entry) for entry in cast("list[Any]", added) if isinstance(entry, dict)]
    return {"<pad>": 0, "<eos>": 1}.items() <= {str(entry.get("content")): entry.get("id") for entry in entries}.items()
