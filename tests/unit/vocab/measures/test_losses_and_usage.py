"""Unknown tokens, texts that do not come back, and rows that nobody uses, on a tokenizer that has all three."""

from __future__ import annotations

import pytest

from lightning_tying.vocab.measures.losses import round_trip_rate, unknown_rate
from lightning_tying.vocab.measures.tokenizer_subject import make_tokenizer_subject
from lightning_tying.vocab.measures.usage import count_rows, dead_rows, renyi_efficiency
from tests.unit.vocab.measures.samples import TEXTS, byte_bpe, word_piece


def test_a_byte_level_tokenizer_loses_nothing() -> None:
    subject = make_tokenizer_subject(byte_bpe())
    assert subject.unknown == frozenset()
    for language, texts in TEXTS.items():
        assert unknown_rate(subject.encode, texts, language, subject.unknown) == 0
        assert round_trip_rate(subject.encode, subject.decode, texts, language) == 1


def test_a_word_piece_knows_no_chinese_and_no_capitals() -> None:
    subject = make_tokenizer_subject(word_piece())
    assert subject.unknown == {0}
    assert unknown_rate(subject.encode, TEXTS["zh"], "zh", subject.unknown) == 1
    assert unknown_rate(subject.encode, ["red gift"], "en", subject.unknown) == 0
    assert round_trip_rate(subject.encode, subject.decode, ["red gift", "Red gift"], "en") == 0.5


def test_dead_rows_are_pieces_alone() -> None:
    subject = make_tokenizer_subject(word_piece())
    assert not subject.pieces & {0, 1}  # [UNK] and [CLS]
    counts = count_rows(subject.encode(["open the red file", "gift"], "en"), subject.size)
    assert len(dead_rows(counts, subject.pieces)) == len(subject.pieces) - 5
    assert counts.sum() == 5 and len(counts) == subject.size


def test_nothing_is_measured_where_there_is_nothing() -> None:
    subject = make_tokenizer_subject(byte_bpe())
    assert unknown_rate(subject.encode, [""], "en", subject.unknown) is None
    assert round_trip_rate(subject.encode, subject.decode, [], "en") is None
    assert renyi_efficiency(count_rows([[3, 3]], 5)) is None


def test_a_file_that_cuts_and_fills_is_measured_whole() -> None:
    tokenizer = byte_bpe()
    whole = make_tokenizer_subject(tokenizer).encode(["Open the red file"], "en")
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=50)
    assert make_tokenizer_subject(tokenizer).encode(["Open the red file"], "en") == whole
    assert tokenizer.truncation is not None  # the one that was given is as it was


@pytest.mark.parametrize("text", ["\ud800", "a\0b", ""])
def test_strange_texts_are_encoded(text: str) -> None:
    assert len(make_tokenizer_subject(byte_bpe()).encode([text], "en")) == 1
