"""SeparateVocabularies: languages with a vocabulary each, which keep their own ids; texts go in, local ids come out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast, final

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary

KIND = "separate vocabularies"


@final
class SeparateVocabularies:
    """The vocabularies of networks that have a table for each side, as two languages of a translation.

    One number means different pieces on the two sides: their tables cannot be one tensor without a row map.

    Args:
        members: language → its vocabulary; all must have `<pad>` and `<eos>` at the same ids, and its language's tag.

    Raises:
        ConfigError: the members do not fit together.
    """

    def __init__(self, members: Mapping[str, SharedVocabulary]) -> None:
        if not members:
            raise ConfigError("Separate vocabularies need at least one member, and none was given.")
        self.members = dict(members)
        first = next(iter(self.members.values()))
        self.pad_id, self.eos_id = first.pad_id, first.eos_id
        for language, member in self.members.items():
            if (member.pad_id, member.eos_id) != (self.pad_id, self.eos_id):
                raise ConfigError(
                    f"The vocabulary of {language} has <pad> and <eos> at {member.pad_id} and {member.eos_id}, another "
                    f"at {self.pad_id} and {self.eos_id}; give vocabularies that this package made."
                )
        self.language_ids = {language: member.tag_id(language) for language, member in self.members.items()}
        self.size = max(member.size for member in self.members.values())

    def member(self, language: str | None) -> SharedVocabulary:
        """The vocabulary of a language.

        Raises:
            ConfigError: no language is given, or one that has none.
        """
        if language is None or language not in self.members:
            asked = "no language was given" if language is None else f"{language!r} has none"
            raise ConfigError(
                f"Each language has its own vocabulary and {asked}; there are: {', '.join(self.members)}."
            )
        return self.members[language]

    def encode_many(self, texts: Iterable[str], language: str | None = None) -> list[list[int]]:
        """The language's own ids of each text, without tags.

        Raises:
            ConfigError: the language has no vocabulary.
        """
        return self.member(language).encode_many(texts)

    def decode(self, ids: Sequence[int], language: str | None = None) -> str:
        """The text of the language's own ids.

        Raises:
            ConfigError: the language has no vocabulary.
        """
        return self.member(language).decode(ids)

    def tag_id(self, language: str) -> int:
        """The id of a language's tag in its own vocabulary.

        Raises:
            ConfigError: the language has no vocabulary.
        """
        return self.member(language).tag_id(language)

    def byte_counts(self, language: str | None = None) -> list[int]:
        """For each of the language's ids the bytes of text that it stands for, filled up to `size`.

        Raises:
            ConfigError: the language has no vocabulary.
        """
        counts = self.member(language).byte_counts()
        return [*counts, *[0] * (self.size - len(counts))]

    @property
    def digest(self) -> str:
        """The SHA-256 of all members and their order."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """All members, language → its `tokenizer.json`, as one JSON text."""
        members = {language: member.to_json() for language, member in self.members.items()}
        return json.dumps({"kind": KIND, "members": members}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, where: str = "The text") -> SeparateVocabularies:
        """The vocabularies that `to_json` wrote.

        Args:
            text: the JSON.
            where: how messages name it.

        Raises:
            ConfigError: the text is something else.
        """
        try:
            content: Any = json.loads(text)
            members = cast("dict[str, Any]", content["members"]) if content["kind"] == KIND else None
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{where} holds no separate vocabularies ({error}).") from error
        if not isinstance(members, dict) or not all(isinstance(member, str) for member in members.values()):
            raise ConfigError(f"{where} holds no separate vocabularies: `members` must be language → tokenizer.json.")
        return cls({name: SharedVocabulary.from_json(member, f"{where}, {name}") for name, member in members.items()})

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return SeparateVocabularies.from_json, (self.to_json(),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeparateVocabularies) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{language}: {member.size}" for language, member in self.members.items())
        return f"SeparateVocabularies({sizes})"
