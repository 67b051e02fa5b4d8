"""Fertility, whole words, parity and characters for each token equal those of TokLens, for tokenizers of two kinds."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from lightning_tying.vocab.measures.compression import bytes_per_token, characters_per_token, normalized_length
from lightning_tying.vocab.measures.fertility import fertility, whole_words
from lightning_tying.vocab.measures.parity import premiums
from tests.unit.vocab.measures.samples import MESSAGES, TEXTS, byte_bpe, characters, encode_with, word_piece

toklens = pytest.importorskip("toklens.metrics", reason="needs toklens, of the extra `dev`")
CLOSE = {"rel": 1e-9, "abs": 1e-9}


@pytest.fixture(scope="module", params=["byte_bpe", "word_piece"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return {"byte_bpe": byte_bpe, "word_piece": word_piece}[request.param]()


@pytest.mark.parametrize("language", TEXTS)
def test_fertility_and_whole_words_of_words_alone(tokenizer: Tokenizer, language: str) -> None:
    text = " ".join(TEXTS[language])
    encode, words = encode_with(tokenizer), text.split()
    assert fertility(encode, words, language) == pytest.approx(toklens.compute_fertility(tokenizer, text), **CLOSE)
    assert whole_words(encode, words, language) == pytest.approx(toklens.compute_strr(tokenizer, text), **CLOSE)


def test_fertility_of_running_text_where_blanks_part_words() -> None:
    """A tokenizer that drops the blanks encodes a text word by word: then both definitions are one."""
    tokenizer, text = word_piece(), " ".join(TEXTS["en"]).replace("?", "")
    found = fertility(encode_with(tokenizer), [text], "en")
    assert found == pytest.approx(toklens.compute_fertility(tokenizer, text), **CLOSE)


@pytest.mark.parametrize("language", TEXTS)
def test_compression(tokenizer: Tokenizer, language: str) -> None:
    text, encode = " ".join(TEXTS[language]), encode_with(tokenizer)
    assert characters_per_token(encode, [text], language) == pytest.approx(
        toklens.compute_cpt(tokenizer, text), **CLOSE
    )
    told = toklens.compute_compression_ratio(tokenizer, text)
    assert bytes_per_token(encode, [text], language) == pytest.approx(told, **CLOSE)
    told = toklens.compute_nsl(tokenizer, text)
    assert normalized_length(encode, characters, [text], language) == pytest.approx(told, **CLOSE)


def test_parity(tokenizer: Tokenizer) -> None:
    joined = {language: {"all": " ".join(texts)} for language, texts in TEXTS.items()}
    found = premiums(encode_with(tokenizer), joined, "en")
    for language, text in joined.items():
        told = toklens.compute_parity(tokenizer, text["all"], joined["en"]["all"])
        assert found[language] == pytest.approx(told, **CLOSE)
    assert found["en"] == 1 and len(set(found.values())) == len(MESSAGES)
