"""Canonical forms: a tokenizer goes in, what each of its pieces stands for comes out, in one form for all kinds.

A byte-level BPE writes ` Haus` as `ĠHaus`, SentencePiece as `▁Haus`, WordPiece as `Haus`; a continuation is `haus`,
`haus` and `##haus`. All of them become the bytes of the text and a flag for the start of a word, so that pieces of
different tokenizers can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

from tokenizers import Tokenizer

from lightning_tying.errors import ConfigError

Spelling = Literal["piece", "byte", "literal"]


@dataclass(frozen=True, slots=True)
class CanonicalPiece:
    """What one piece stands for.

    Args:
        content: its bytes, without the blank or the mark that says where a word starts; may be no whole UTF-8.
        word_start: whether it starts a word (after a blank where the tokenizer keeps blanks).
        special: whether it is a special token (`<pad>`, a tag, the unknown token) and stands for no text.
        spelling: how the tokenizer writes it: as a piece of its model, as `<0xNN>`, or literally (added tokens).
    """

    content: bytes
    word_start: bool
    special: bool = False
    spelling: Spelling = "piece"


@dataclass(frozen=True, slots=True)
class CanonicalForm:
    """How a tokenizer writes its pieces.

    Args:
        signs: "bytes" (a sign for each byte), "blank" (a mark for each blank), "prefix" (a mark on what does not start
            a word), "words" (only whole words), "plain" (no marks at all).
        mark: the sign of a blank, or the prefix.
        byte_fallback: whether `<0xNN>` is a byte.
    """

    signs: Literal["bytes", "blank", "prefix", "words", "plain"]
    mark: str = ""
    byte_fallback: bool = False


def canonical_form(tokenizer: Tokenizer) -> CanonicalForm:
    """How a tokenizer writes its pieces, as its JSON says.

    Raises:
        ConfigError: its pieces mark the end of words, which has no canonical form.
    """
    return _read_form(_load(tokenizer.to_str()))


def canonical_pieces(tokenizer: Tokenizer) -> list[CanonicalPiece | None]:
    """What each id of a tokenizer stands for.

    Args:
        tokenizer: byte-level BPE, BPE or Unigram with `▁` (with or without byte fallback), WordPiece, WordLevel.

    Returns:
        By id, as long as the largest id + 1; None where no piece has the id.

    Raises:
        ConfigError: two pieces have one id, or the pieces mark the end of words.
    """
    return canonical_pieces_of_json(tokenizer.to_str())


def canonical_pieces_of_json(text: str) -> list[CanonicalPiece | None]:
    """The same, from the content of a `tokenizer.json` that `tokenizers` takes.

    Raises:
        ConfigError: two pieces have one id, or the pieces mark the end of words.
    """
    data = _load(text)
    form, special = _read_form(data), special_ids(data)
    added = {int(entry["id"]) for entry in data["added_tokens"]}
    entries = piece_ids(data)
    pieces: list[CanonicalPiece | None] = [None] * (max(entries.values(), default=-1) + 1)
    for piece, id in entries.items():
        if pieces[id] is not None:
            raise ConfigError(f"The tokenizer has two pieces with the id {id}; one of them is {piece!r}.")
        if id in added or piece in special:
            pieces[id] = _read_literal(piece, special=piece in special)
        else:
            pieces[id] = read_piece(piece, form)
    return pieces


def piece_ids(data: dict[str, Any]) -> dict[str, int]:
    """The id of each piece, of the model and added: what `Tokenizer.get_vocab` says, without building a tokenizer.

    Args:
        data: the content of a `tokenizer.json`.
    """
    vocabulary: dict[str, int] | list[tuple[str, float]] = data["model"]["vocab"]
    if isinstance(vocabulary, list):  # Unigram: ids are places, and of equal pieces the last counts
        vocabulary = {text: id for id, (text, _) in enumerate(vocabulary)}
    return vocabulary | {str(entry["content"]): int(entry["id"]) for entry in data["added_tokens"]}


def special_ids(data: dict[str, Any]) -> dict[str, int]:
    """The id of each special token: those that are added as such, and the unknown token of the model.

    Args:
        data: the content of a `tokenizer.json`.
    """
    found = {str(entry["content"]): int(entry["id"]) for entry in data["added_tokens"] if entry["special"]}
    model = cast("dict[str, Any]", data["model"])
    if model.get("unk_id") is not None:
        return found | {str(model["vocab"][model["unk_id"]][0]): int(model["unk_id"])}
    token = model.get("unk_token")
    return found if token is None or token not in model["vocab"] else found | {str(token): int(model["vocab"][token])}


def read_piece(text: str, form: CanonicalForm) -> CanonicalPiece:
    """What a piece stands for, if it is no special and no added token.

    Args:
        text: the piece, as the tokenizer's vocabulary has it.
        form: how the tokenizer writes its pieces.
    """
    if form.byte_fallback and (byte := _fallback_byte(text)) is not None:
        return CanonicalPiece(bytes([byte]), False, spelling="byte")
    if form.signs == "bytes":
        try:
            return _split_blank(text.translate(_TO_LATIN).encode("latin-1"))
        except UnicodeEncodeError:  # a sign that stands for no byte
            return _read_literal(text)
    if form.signs == "blank":
        # a blank itself is never written by a tokenizer that has a sign for it
        return _read_literal(text) if " " in text else _split_blank(text.replace(form.mark, " ").encode())
    if form.signs == "prefix":
        inside = text.startswith(form.mark) and len(text) > len(form.mark)
        return CanonicalPiece((text[len(form.mark) :] if inside else text).encode(), not inside)
    return CanonicalPiece(text.encode(), form.signs == "words")


def write_piece(piece: CanonicalPiece, form: CanonicalForm) -> str:
    """The piece as a tokenizer of this form writes it: the inverse of `canonical_pieces`.

    Raises:
        UnicodeDecodeError: the bytes are no text, and the form cannot write single bytes.
    """
    if piece.spelling == "byte":
        return f"<0x{piece.content[0]:02X}>"
    blank = b" " if piece.word_start else b""
    if piece.spelling == "literal":
        return (blank + piece.content).decode()
    if form.signs == "bytes":
        return "".join(_SIGNS[byte] for byte in blank + piece.content)
    if form.signs == "blank":
        return (blank + piece.content).decode().replace(" ", form.mark)
    mark = form.mark if form.signs == "prefix" and not piece.word_start else ""
    return mark + piece.content.decode()


def _split_blank(text: bytes) -> CanonicalPiece:
    return CanonicalPiece(text.removeprefix(b" "), text.startswith(b" "))


def _read_literal(text: str, special: bool = False) -> CanonicalPiece:
    if special:
        return CanonicalPiece(text.encode(), False, True, "literal")
    piece = _split_blank(text.encode())
    return CanonicalPiece(piece.content, piece.word_start, spelling="literal")


def _fallback_byte(text: str) -> int | None:
    if len(text) != 6 or not (text.startswith("<0x") and text.endswith(">")):
        return None
    digits = text[3:5]
    # lower-case digits would not be written back as they were
    return int(digits, 16) if set(digits) <= set("0123456789ABCDEF") else None


def _byte_signs() -> list[str]:
    """The sign of each byte in byte-level BPE (GPT-2): printable ones are themselves, others follow at U+0100."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


_SIGNS = _byte_signs()
# latin-1 writes the bytes as they are; signs of no byte become one that it does not have
_TO_LATIN = dict.fromkeys(range(256), 0xFFFF) | {ord(sign): byte for byte, sign in enumerate(_SIGNS)}


def _read_form(data: dict[str, Any]) -> CanonicalForm:
    model = cast("dict[str, Any]", data["model"])
    if model.get("end_of_word_suffix"):
        raise ConfigError(
            f"The tokenizer's pieces mark the end of words ({model['end_of_word_suffix']!r}), not their start; such "
            "pieces cannot be compared with those of other tokenizers."
        )
    nodes = [*_walk(data.get("pre_tokenizer")), *_walk(data.get("decoder"))]
    fallback = bool(model.get("byte_fallback")) or any(node["type"] == "ByteFallback" for node in nodes)
    if any(node["type"] == "ByteLevel" for node in nodes):
        return CanonicalForm("bytes", byte_fallback=fallback)
    mark = next(filter(None, map(_blank_mark, nodes)), None)
    if mark is not None:
        return CanonicalForm("blank", mark, fallback)
    if model.get("continuing_subword_prefix"):
        return CanonicalForm("prefix", str(model["continuing_subword_prefix"]), fallback)
    return CanonicalForm("words" if model.get("type") == "WordLevel" else "plain", byte_fallback=fallback)


def _blank_mark(node: dict[str, Any]) -> str | None:
    """The sign of a blank: Metaspace names it; Llama's decoder replaces it."""
    if node["type"] == "Metaspace":
        return str(node["replacement"])
    if node["type"] == "Replace" and node.get("content") == " ":
        return cast("dict[str, str]", node["pattern"]).get("String")
    return None


def _walk(node: object) -> Iterator[dict[str, Any]]:
    """Every part of a pre-tokenizer or decoder, those inside sequences included."""
    if isinstance(node, dict):
        part = cast("dict[str, Any]", node)
        if "type" in part:
            yield part
        for value in part.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in cast("list[object]", node):
            yield from _walk(value)


def _load(text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(text))
