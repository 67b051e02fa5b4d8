"""What the rows of a vocabulary say: a vocabulary or tokenizer goes in, the text of each piece, as bytes, comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tokenizers import Tokenizer

from lightning_tying.vocab.canonical import canonical_pieces
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.vocabulary import Vocabulary

Spelling = Mapping[int, bytes]
"""Id → the bytes of its text, a blank in front of what starts a word; special tokens as they are written."""


def spell_tokenizer(tokenizer: Tokenizer) -> dict[int, bytes]:
    """The text of each id of a tokenizer.

    Args:
        tokenizer: of any kind.
    """
    found = enumerate(canonical_pieces(tokenizer))
    return {id: b" " * piece.word_start + piece.content for id, piece in found if piece is not None}


def spell_vocabulary(vocabulary: Vocabulary) -> dict[int, bytes]:
    """The text of each row of a vocabulary of this package.

    Where members read one row with different texts (a dictionary), the row has the text of the first.

    Args:
        vocabulary: shared, united, or one for each language (their ids one after the other).
    """
    parts = cast("Any", vocabulary)
    members = cast("Mapping[str, SharedVocabulary] | None", getattr(parts, "members", None))
    if members is None:
        return spell_tokenizer(Tokenizer.from_str(vocabulary.to_json()))
    spelled: dict[int, bytes] = {}
    start = 0
    for language, member in members.items():
        own = spell_vocabulary(member)
        if hasattr(parts, "rows"):
            rows = parts.rows.members[language].tolist()
            own = {rows[id]: text for id, text in own.items()}
        else:
            own = {id + start: text for id, text in own.items()}
        start += member.size
        spelled = own | spelled
    return spelled
