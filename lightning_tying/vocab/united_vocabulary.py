"""UnitedVocabulary: several vocabularies and their row map; a text and its language go in, rows come out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, cast, final

import numpy as np

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows.members import check_members
from lightning_tying.vocab.rows.renumber import renumber
from lightning_tying.vocab.rows.row_map import HOLE, RowMap
from lightning_tying.vocab.rows.row_map_file import load_row_map
from lightning_tying.vocab.rows.united_files import FOLDER, united_files
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.tokenizer_file import load_any_tokenizer
from lightning_tying.whole_files import write_together

KIND = "united vocabulary"
FOREIGN = "\N{REPLACEMENT CHARACTER}"


@final
class UnitedVocabulary:
    """Each language keeps its own tokenizer, exactly as it cuts text, and their ids are rows of one table.

    It reads as a `SharedVocabulary` does, and wants to know the language of a text.

    Args:
        members: by name; a member's languages are those of its tags.
        rows: the row map that was made for them.

    Raises:
        ConfigError: the map is of other vocabularies; a language is in two members; `<pad>` and `<eos>` do not meet.
    """

    def __init__(self, members: Mapping[str, SharedVocabulary], rows: RowMap) -> None:
        check_members(rows, members)
        self.members: Mapping[str, SharedVocabulary] = {name: members[name] for name in rows.members}
        self.rows = rows
        self.size: int = rows.n_rows
        self.pad_id: int = self._meet("pad_id")
        self.eos_id: int = self._meet("eos_id")
        self._member_of = _read_languages(self.members)
        self.language_ids: dict[str, int] = {
            language: int(rows.members[name][self.members[name].language_ids[language]])
            for language, name in self._member_of.items()
        }
        self._tables = {name: own.tolist() for name, own in rows.members.items()}
        self._ids = {name: rows.ids_of(name) for name in rows.members}
        self._writers: dict[str, SharedVocabulary | None] = {}  # made when a language is first encoded

    def member_of(self, language: str | None) -> str:
        """The name of the member that reads a language.

        Raises:
            ConfigError: no language is given, or no member has its tag.
        """
        if language is None:
            raise ConfigError(
                "A united vocabulary wants to know the language of a text; it has: " + ", ".join(self._member_of) + "."
            )
        if language not in self._member_of:
            raise ConfigError(
                f"No member of the united vocabulary has a tag for the language {language!r}; they have: "
                f"{', '.join(self._member_of)}."
            )
        return self._member_of[language]

    def encode(self, text: str, language: str | None = None) -> list[int]:
        """The rows of a text, after the tag of its language.

        Raises:
            ConfigError: no language is given, or one that no member has.
        """
        rows = self.encode_many([text], language)[0]
        return rows if language is None else [self.language_ids[language], *rows]

    def encode_many(self, texts: Iterable[str], language: str | None = None) -> list[list[int]]:
        """The rows of each text, without tags; faster than one by one.

        Raises:
            ConfigError: no language is given, or one that no member has.
        """
        name = self.member_of(language)
        if name not in self._writers:
            self._writers[name] = renumber(self.members[name], self.rows.members[name])
        writer = self._writers[name]
        if writer is not None:
            return writer.encode_many(texts)
        table = self._tables[name]
        return [[table[id] for id in ids] for ids in self.members[name].encode_many(texts)]

    def decode(self, ids: Sequence[int], language: str | None = None) -> str:
        """The text of rows in a language; special tokens leave no trace.

        A run of rows that the language's vocabulary does not read, or that no table has, becomes one U+FFFD. Where
        two ids of the vocabulary read one row, the smaller one is meant.

        Args:
            ids: rows.
            language: whose vocabulary reads them.

        Raises:
            ConfigError: no language is given, or one that no member has.
        """
        name = self.member_of(language)
        special = {*self.language_ids.values(), self.pad_id, self.eos_id}
        own = self._ids[name]
        local = [int(own[row]) if 0 <= row < self.size else HOLE for row in ids if row not in special]
        runs = groupby(local, key=lambda id: id == HOLE)
        return "".join(FOREIGN if foreign else self.members[name].decode(list(run)) for foreign, run in runs)

    def tag_id(self, language: str) -> int:
        """The row of a language's tag.

        Raises:
            ConfigError: no member has a tag for the language.
        """
        self.member_of(language)
        return self.language_ids[language]

    def byte_counts(self, language: str | None = None) -> list[int]:
        """For each row the bytes of text that it stands for in a language; 0 for rows that others read.

        `<eos>` counts as a line break, other special tokens 0; of several ids at one row the smallest counts.

        Raises:
            ConfigError: no language is given, or one that no member has.
        """
        name = self.member_of(language)
        counts = np.array([*self.members[name].byte_counts(), 0])  # the last stands for rows without an id
        return cast("list[int]", counts[self._ids[name]].tolist())

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the JSON: equal digests mean equal vocabularies."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Members and row map as one text, for checkpoints."""
        rows = self.rows
        content = {
            "kind": KIND,
            "policy": rows.policy,
            "n_rows": rows.n_rows,
            "specials": {name: dict(own) for name, own in rows.specials.items()},
            "members": {name: member.to_json() for name, member in self.members.items()},
            "rows": self._tables,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, where: str = "The text") -> UnitedVocabulary:
        """The vocabulary that `to_json` wrote.

        Args:
            text: the JSON.
            where: how messages name it.

        Raises:
            ConfigError: it is no united vocabulary.
        """
        try:
            data: Any = json.loads(text)
            written = {str(name): str(member) for name, member in data["members"].items()}
            rows = {name: np.array(data["rows"][name], np.int32) for name in written}
            members = {n: SharedVocabulary.from_json(member, f"{where}, {n}") for n, member in written.items()}
            digests = {name: member.digest for name, member in members.items()}
            return cls(members, RowMap(rows, int(data["n_rows"]), digests, str(data["policy"]), data["specials"]))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ConfigError(f"{where} is no united vocabulary ({error}).") from error

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the members' `tokenizer.json`s to `members/`, and the row map beside them.

        Raises:
            ConfigError: a file cannot be written.
        """
        write_together(united_files(self.members, self.rows, Path(folder)))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> UnitedVocabulary:
        """Read what `save` or `lightning-tying vocab unite` wrote.

        Args:
            path: the folder, or the path of `rows.json` or `rows.safetensors` in it.

        Raises:
            ConfigError: a file is missing or damaged, or they do not belong together.
        """
        rows = load_row_map(path)
        folder = Path(path) if Path(path).is_dir() else Path(path).parent
        return cls({name: _load_member(folder / FOLDER / f"{name}.json") for name in rows.members}, rows)

    def _meet(self, attribute: str) -> int:
        rows = {int(self.rows.members[name][getattr(one, attribute)]) for name, one in self.members.items()}
        if len(rows) > 1:
            raise ConfigError(f"The members have their {attribute} at different rows: {sorted(rows)}.")
        return rows.pop()

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return UnitedVocabulary.from_json, (self.to_json(),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnitedVocabulary) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"UnitedVocabulary(size={self.size}, members={list(self.members)}, policy={self.rows.policy!r})"


def _load_member(path: Path) -> SharedVocabulary:
    try:
        return SharedVocabulary.load(path)
    except ConfigError as error:
        load_any_tokenizer(path)  # says what is wrong with a file that nobody could read
        raise ConfigError(
            f"{error} The row map beside it serves sharing specs; texts are encoded, and measured, by each member's "
            "own file."
        ) from error


def _read_languages(members: Mapping[str, SharedVocabulary]) -> dict[str, str]:
    """Language → member; where two have its tag, the one that bears its name."""
    found: dict[str, str] = {}
    for name, member in members.items():
        for language in member.language_ids:
            if language in found and language not in (name, found[language]):
                raise ConfigError(
                    f"The members {found[language]!r} and {name!r} both have a tag for {language!r}; give one of them "
                    "its name."
                )
            if language not in found or language == name:
                found[language] = name
    return found
