"""A tokenizer of any kind goes in, what measures need to know of it comes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from tokenizers import Tokenizer

from lightning_tying.vocab.canonical import canonical_pieces
from lightning_tying.vocab.measures.subject import Subject


def make_tokenizer_subject(tokenizer: Tokenizer, name: str = "the tokenizer") -> Subject:
    """What measures need to know of a tokenizer; one for all languages.

    Texts get no special tokens around them and are neither cut nor filled, whatever the tokenizer's file says.

    Args:
        tokenizer: of any library that writes `tokenizer.json`.
        name: as the report names it.
    """
    own = Tokenizer.from_str(tokenizer.to_str())
    own.no_truncation()
    own.no_padding()

    def encode(texts: Sequence[str], language: str) -> list[list[int]]:
        del language  # one tokenizer serves all
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]  # it refuses lone surrogates
        return [encoding.ids for encoding in own.encode_batch_fast(clean, add_special_tokens=False)]

    def decode(ids: Sequence[int], language: str) -> str:
        del language
        return own.decode(list(ids), skip_special_tokens=True)

    unknown = find_unknown(own)
    pieces = (id for id, piece in enumerate(canonical_pieces(own)) if piece is not None and not piece.special)
    size = max(own.get_vocab(with_added_tokens=True).values()) + 1
    return Subject(name, size, encode, decode, frozenset(pieces) - unknown, unknown)


def find_unknown(tokenizer: Tokenizer) -> frozenset[int]:
    """The id of the unknown token, or nothing where the model has none.

    Args:
        tokenizer: of any kind.
    """
    model = cast("dict[str, Any]", json.loads(tokenizer.to_str())["model"])
    id = model.get("unk_id")  # Unigram
    if id is None and model.get("unk_token") is not None:
        id = tokenizer.token_to_id(str(model["unk_token"]))
    return frozenset() if id is None else frozenset((int(id),))
