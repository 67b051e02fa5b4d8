"""RowOrigins: two vocabularies go in; for each new id the old id that it was, or the old ids that spell it, come out.

Ids are compared by what they stand for (canonical forms), never by number: two vocabularies of one size have nothing
in common by their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from tokenizers import Tokenizer

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.canonical import canonical_pieces
from lightning_tying.vocab.rows.keys import Key, surface_keys
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from lightning_tying.vocab.vocabulary import Vocabulary

Name = tuple[str, Key]  # the member that reads a row (empty where there is one tokenizer) and what it reads there


@final
@dataclass(frozen=True, eq=False)
class RowOrigins:
    """Which old ids the ids of a new vocabulary come from.

    Args:
        old_size: how many ids there were, the largest and one.
        kept: by new id the old id that stands for the same, or -1.
        parts: by new id the old ids that spell it in their order; for the tag of a new language all old tags; empty
            where a new id is a hole, or nothing old spells it.
    """

    old_size: int
    kept: tuple[int, ...]
    parts: tuple[tuple[int, ...], ...]

    @property
    def new_size(self) -> int:
        """How many ids there are, the largest and one."""
        return len(self.kept)

    @property
    def count_kept(self) -> int:
        """How many new ids stand for what an old one stood for."""
        return sum(id >= 0 for id in self.kept)


def find_row_origins(old: Vocabulary, new: Vocabulary) -> RowOrigins:
    """Compare two vocabularies.

    Args:
        old: a shared or a united vocabulary, whose ids are rows of a trained table.
        new: the same for the table that is wanted.

    Raises:
        ConfigError: one of them has no table of its own.
    """
    before, after = row_names(old), row_names(new)
    by_name: dict[Name, int] = {}
    by_key: dict[Key, int] = {}
    for row, names in enumerate(before):
        for name in names:
            by_name.setdefault(name, row)
            by_key.setdefault(name[1], row)
    kept = [-1] * len(after)
    for row, names in enumerate(after):
        found = [by_name[name] for name in names if name in by_name] or [by_key[k] for _, k in names if k in by_key]
        kept[row] = found[0] if found else -1
    spelled = _spell(old, before, [_text_of(names) if kept[row] < 0 else None for row, names in enumerate(after)])
    tags = tuple(old.language_ids.values())
    for row in new.language_ids.values():
        if kept[row] < 0:
            spelled[row] = tags
    return RowOrigins(len(before), tuple(kept), tuple(spelled))


def row_names(vocabulary: Vocabulary) -> list[list[Name]]:
    """What each id, or row, of a vocabulary stands for; nothing for a hole.

    Raises:
        ConfigError: the members of the vocabulary have a table each.
    """
    if isinstance(vocabulary, SharedVocabulary):
        keys = surface_keys(canonical_pieces(Tokenizer.from_str(vocabulary.to_json())))
        return [[] if key is None else [("", key)] for key in keys]
    if not isinstance(vocabulary, UnitedVocabulary):
        raise ConfigError(
            "Separate vocabularies have a table each. Change one at a time, or unite them by a row map first "
            "(`lightning-tying vocab unite`)."
        )
    names: list[list[Name]] = [[] for _ in range(vocabulary.size)]
    for member, tokenizer in vocabulary.members.items():
        keys = surface_keys(canonical_pieces(Tokenizer.from_str(tokenizer.to_json())))
        rows: list[int] = vocabulary.rows.rows_of(member).tolist()
        for key, row in zip(keys, rows, strict=True):
            if key is not None:
                names[row].append((member, key))
    return names


def texts_of_rows(vocabulary: Vocabulary) -> list[bytes | None]:
    """The bytes of text that each id, or row, stands for, its blank included; None for specials and holes."""
    return [_text_of(names) for names in row_names(vocabulary)]


def _text_of(names: Sequence[Name]) -> bytes | None:
    if not names or names[0][1][0] == "special":
        return None
    _, content, word_start, *_ = names[0][1]
    return (b" " if word_start else b"") + (content if isinstance(content, bytes) else b"")


def _spell(old: Vocabulary, before: Sequence[Sequence[Name]], wanted: Sequence[bytes | None]) -> list[tuple[int, ...]]:
    """The old rows that spell each text, as the old tokenizer cuts it where that is the same text, else greedily."""
    texts = [_text_of(names) for names in before]
    rows: dict[bytes, int] = {}
    for row, text in enumerate(texts):
        if text:
            rows.setdefault(text, row)
    longest = max(map(len, rows), default=0)
    cut = _cut(old, wanted)
    spelled: list[tuple[int, ...]] = []
    for number, text in enumerate(wanted):
        ids: tuple[int, ...] = cut.get(number, ())
        whole = b"".join(texts[id] or b"" for id in ids)
        if text and ids and whole == text:
            spelled.append(ids)
        else:
            spelled.append(_match(text, rows, longest) if text else ())
    return spelled


def _cut(old: Vocabulary, wanted: Sequence[bytes | None]) -> dict[int, tuple[int, ...]]:
    """How the old tokenizer cuts the texts that are whole UTF-8; nothing where each language has its own."""
    if not isinstance(old, SharedVocabulary):
        return {}
    texts: dict[int, str] = {}
    for number, text in enumerate(wanted):
        try:
            if text:
                texts[number] = text.decode()
        except UnicodeDecodeError:  # a part of a letter
            continue
    return {number: tuple(ids) for number, ids in zip(texts, old.encode_many(texts.values()), strict=True)}


def _match(text: bytes, rows: Mapping[bytes, int], longest: int) -> tuple[int, ...]:
    """The longest piece first; nothing where a byte has none."""
    found: list[int] = []
    start = 0
    while start < len(text):
        stops = range(min(len(text), start + longest), start, -1)
        stop = next((stop for stop in stops if text[start:stop] in rows), None)
        if stop is None:
            return ()
        found.append(rows[text[start:stop]])
        start = stop
    return tuple(found)
