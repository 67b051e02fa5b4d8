"""Canonical forms: over whole vocabularies of five families, and against what the tokenizers decode themselves."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.canonical import (
    CanonicalPiece,
    canonical_form,
    canonical_pieces,
    canonical_pieces_of_json,
    write_piece,
)
from tests.unit.vocab.families import FAMILIES, make


@pytest.mark.parametrize("family", FAMILIES)
def test_every_piece_comes_back_as_it_was_written(family):
    tokenizer = make(family)
    pieces, form = canonical_pieces(tokenizer), canonical_form(tokenizer)
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    assert len(pieces) == max(vocabulary.values()) + 1
    assert {id: write_piece(piece, form) for id, piece in enumerate(pieces) if piece} == {
        id: text for text, id in vocabulary.items()
    }


@pytest.mark.parametrize("family", ["byte_bpe", "metaspace_bpe", "unigram", "transformers"])
def test_the_content_is_what_the_tokenizer_decodes(family):
    tokenizer = make(family)
    for id, piece in enumerate(canonical_pieces(tokenizer)):
        if piece is None or piece.spelling == "literal":
            continue
        text = (b" " * piece.word_start + piece.content).decode("utf-8", "replace")
        decoded = tokenizer.decode([id], skip_special_tokens=False)
        if family in ("metaspace_bpe", "unigram"):  # their decoder takes the first blank of a text away
            text = text.removeprefix(" ") if piece.word_start else text
        assert decoded.replace("\ufffd", "") == text.replace("\ufffd", ""), id


def test_marks_of_the_start_and_of_the_inside_become_one_flag():
    word = CanonicalPiece(b"Haus", True)
    inside = CanonicalPiece(b"haus", False)
    assert _piece_of(_byte_level(), "ĠHaus") == _piece_of(_metaspace(), "▁Haus") == _piece_of(_bert(), "Haus") == word
    assert _piece_of(_byte_level(), "haus") == _piece_of(_metaspace(), "haus") == _piece_of(_bert(), "##haus") == inside


def test_bytes_are_bytes_whatever_writes_them():
    assert _piece_of(_byte_level(), "Ã").content == _piece_of(_metaspace(), "<0xC3>").content == b"\xc3"
    assert _piece_of(_metaspace(), "<0xc3>").content == b"<0xc3>"  # no tokenizer writes it so


def test_special_tokens_are_those_that_are_added_as_such_and_the_unknown_one():
    pieces = canonical_pieces(make("transformers"))
    texts = {piece.content.decode() for piece in pieces if piece is not None and piece.special}
    assert texts == {"<unk>", "<s>", "</s>", "[PAD]"}
    literal = {piece.content.decode(): piece.word_start for piece in pieces if piece and piece.spelling == "literal"}
    assert literal["Straße"] is False and literal["im Ganzen"] is True


def test_holes_are_none_and_the_length_is_the_largest_id_and_one():
    tokenizer = _byte_level({"a": 0, "b": 7})
    assert [piece and piece.content for piece in canonical_pieces(tokenizer)] == [b"a", *[None] * 6, b"b"]


def test_two_pieces_with_one_id_are_refused():
    data = json.loads(_byte_level({"a": 0, "b": 1}).to_str())
    data["model"]["vocab"] = {"a": 0, "b": 0}
    with pytest.raises(ConfigError, match="two pieces with the id 0"):
        canonical_pieces_of_json(json.dumps(data))


def test_pieces_that_mark_the_end_of_words_are_refused():
    tokenizer = Tokenizer(models.BPE(vocab={"a</w>": 0}, merges=[], end_of_word_suffix="</w>"))
    with pytest.raises(ConfigError, match="end of words"):
        canonical_pieces(tokenizer)


def _piece_of(tokenizer: Tokenizer, text: str) -> CanonicalPiece:
    piece = canonical_pieces(tokenizer)[tokenizer.token_to_id(text)]
    assert piece is not None
    return CanonicalPiece(piece.content, piece.word_start, piece.special)


def _byte_level(vocabulary: dict[str, int] | None = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary or {"ĠHaus": 0, "haus": 1, "Ã": 2}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def _metaspace() -> Tokenizer:
    pieces = ["<unk>", "▁Haus", "haus", "<0xC3>", "<0xc3>"]
    tokenizer = Tokenizer(models.Unigram([(piece, 0.0) for piece in pieces], unk_id=0, byte_fallback=True))
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def _bert() -> Tokenizer:
    return Tokenizer(models.WordPiece({"[UNK]": 0, "Haus": 1, "##haus": 2}, unk_token="[UNK]"))
