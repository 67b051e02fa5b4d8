"""Member vocabularies: whatever the user has goes in; tokenizer, digest and canonical pieces of each come out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.canonical import CanonicalPiece, canonical_pieces_of_json, piece_ids, special_ids
from lightning_tying.vocab.rows.row_map import HOLE, RowMap, check_name
from lightning_tying.vocab.rows.specials import name_specials
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary

Member = SharedVocabulary | Tokenizer
Members = Mapping[str, Member]


def json_of(member: Member) -> str:
    """The content of a member's `tokenizer.json`."""
    return member.to_json() if isinstance(member, SharedVocabulary) else member.to_str()


def digest_of(member: Member) -> str:
    """The SHA-256 of a member's `tokenizer.json`."""
    return hashlib.sha256(json_of(member).encode()).hexdigest()


def pieces_of(members: Members) -> dict[str, list[CanonicalPiece | None]]:
    """The canonical pieces of each member by id.

    Raises:
        ConfigError: no members, a name that cannot be one, or a member without canonical form.
    """
    if not members:
        raise ConfigError("There are no vocabularies to unite; give at least one.")
    pieces: dict[str, list[CanonicalPiece | None]] = {}
    for name, member in members.items():
        check_name(name)
        try:
            pieces[name] = canonical_pieces_of_json(json_of(member))
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
        if not pieces[name]:
            raise ConfigError(f"{name}: the vocabulary is empty.")
    return pieces


def specials_of(member: Member) -> dict[str, int]:
    """The special tokens of a member by the names under which they meet those of others."""
    return name_specials(special_ids(json.loads(json_of(member))))


def check_members(rows: RowMap, members: Members) -> None:
    """Refuse a row map of other vocabularies than these.

    Raises:
        ConfigError: other members, another digest, another size, other holes, or other special tokens.
    """
    if set(rows.members) != set(members):
        raise ConfigError(
            f"The row map is of {', '.join(sorted(rows.members))}, and the vocabularies are "
            f"{', '.join(sorted(members))}."
        )
    for name, member in members.items():
        if digest_of(member) != rows.digests[name]:
            raise ConfigError(
                f"The row map was made for another vocabulary {name!r} (SHA-256 {rows.digests[name][:12]}…, and this "
                f"one has {digest_of(member)[:12]}…): its ids would read the rows of other words. Make it anew with "
                "`lightning-tying vocab unite`."
            )
        _check_ids(name, rows.members[name], set(piece_ids(json.loads(json_of(member))).values()))
        if rows.specials and specials_of(member) != dict(rows.specials.get(name, {})):
            raise ConfigError(f"The special tokens of {name!r} are not those that the row map was made for.")


def _check_ids(name: str, rows: NDArray[np.int32], ids: set[int]) -> None:
    """The map must have a row for each id, and none for a hole; its size is the largest id + 1."""
    if len(rows) != max(ids) + 1:
        raise ConfigError(f"The row map has {len(rows)} ids for {name!r}, whose largest id + 1 is {max(ids) + 1}.")
    wrong = sorted(ids.symmetric_difference(np.flatnonzero(rows != HOLE).tolist()))
    if wrong:
        what = "a piece" if wrong[0] in ids else "no piece"
        raise ConfigError(f"The vocabulary {name!r} has {what} with the id {wrong[0]}, and the row map says otherwise.")
