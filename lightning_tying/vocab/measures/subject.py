"""Subject: a vocabulary of whatever kind goes in, what measures need to know of it comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from lightning_tying.vocab.measures.encoding import Decode, Encode


class Vocabulary(Protocol):
    """What is read of this package's vocabularies; their own type would bring the tokenizers along."""

    @property
    def size(self) -> int:
        """Rows."""
        ...

    @property
    def pad_id(self) -> int:
        """The id that fills short rows."""
        ...

    @property
    def eos_id(self) -> int:
        """The id of the end of a text."""
        ...

    @property
    def language_ids(self) -> Mapping[str, int]:
        """The id of each language's tag."""
        ...

    def encode_many(self, texts: Iterable[str], language: str | None = None) -> list[list[int]]:
        """The ids of each text."""
        ...

    def decode(self, ids: Sequence[int], language: str | None = None) -> str:
        """The text of the ids."""
        ...

    def byte_counts(self, language: str | None = None) -> list[int]:
        """For each id the bytes of text that it stands for."""
        ...


@dataclass(frozen=True)
class Subject:
    """A vocabulary to be measured.

    Args:
        name: as the report names it.
        size: rows, the largest id + 1.
        encode: texts and language → ids.
        decode: ids and language → text.
        pieces: the ids that stand for text: no special tokens, no holes.
        unknown: the ids of unknown tokens.
        members: language → the rows of its own vocabulary, where each language has one.
        separate_rows: how many rows the members would have without sharing; None where there are no members.
    """

    name: str
    size: int
    encode: Encode
    decode: Decode
    pieces: frozenset[int]
    unknown: frozenset[int] = frozenset()
    members: Mapping[str, frozenset[int]] = field(default_factory=dict[str, frozenset[int]])
    separate_rows: int | None = None


def make_subject(vocabulary: Vocabulary, name: str = "the vocabulary") -> Subject:
    """What measures need to know of a vocabulary of this package: shared, united, or one for each language.

    Args:
        vocabulary: of any of the three kinds.
        name: as the report names it.
    """
    parts = cast("Any", vocabulary)
    if hasattr(parts, "rows"):
        return _make_united(vocabulary, parts, name)
    if hasattr(parts, "members"):
        return _make_separate(parts.members, name)
    special = _special_ids(vocabulary)
    pieces = (id for id, size in enumerate(vocabulary.byte_counts()) if size and id not in special)
    return Subject(name, vocabulary.size, vocabulary.encode_many, vocabulary.decode, frozenset(pieces))


def _make_united(vocabulary: Vocabulary, united: Any, name: str) -> Subject:
    rows: dict[str, frozenset[int]] = {
        member: frozenset(row for row in ids.tolist() if row >= 0) for member, ids in united.rows.members.items()
    }
    return Subject(
        name,
        vocabulary.size,
        vocabulary.encode_many,
        vocabulary.decode,
        frozenset[int]().union(*rows.values()) - _special_ids(vocabulary),
        members={language: rows[united.member_of(language)] for language in vocabulary.language_ids},
        separate_rows=united.rows.n_ids,
    )


def _make_separate(vocabularies: Mapping[str, Vocabulary], name: str) -> Subject:
    """One id means something else in each language, so each gets rows of its own, one vocabulary after the other."""
    starts: dict[str, int] = {}
    size = 0
    for language, member in vocabularies.items():
        starts[language], size = size, size + member.size

    def encode(texts: Sequence[str], language: str) -> list[list[int]]:
        start = starts[language]
        return [[id + start for id in ids] for ids in vocabularies[language].encode_many(texts)]

    def decode(ids: Sequence[int], language: str) -> str:
        return vocabularies[language].decode([id - starts[language] for id in ids])

    owned = {
        language: frozenset(id + starts[language] for id in make_subject(member).pieces)
        for language, member in vocabularies.items()
    }
    return Subject(
        name, size, encode, decode, frozenset[int]().union(*owned.values()), members=owned, separate_rows=size
    )


def _special_ids(vocabulary: Vocabulary) -> set[int]:
    return {vocabulary.pad_id, vocabulary.eos_id, *vocabulary.language_ids.values()}
