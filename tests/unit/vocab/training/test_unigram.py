"""Unigram: the tokenizer cuts every text as SentencePiece does, with the same ids."""

import builtins

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling, SharedVocabulary
from lightning_tying.vocab.pretokenizer import find_preset
from lightning_tying.vocab.training import unigram

TEXTS = {
    "de": [f"Der {a} ist {b}, und <b>{a}</b> bleibt {b}" for a in ("Baum", "Weg", "Ort") for b in ("groß", "weit")],
    "ja": ["ログインしてください", "パスワードが違います", "ログインを待ってください"] * 3,
}
LETTERS = st.text(st.sampled_from("DerBaum▁ <>/bワログイン.\t\nß́\x01"), max_size=40)


@pytest.fixture(scope="module")
def pair():
    """The vocabulary, and the model of SentencePiece that it was made of."""
    kept = {}
    real = sentencepiece.SentencePieceProcessor

    def keep(**words):
        kept["model"] = real(**words)
        return kept["model"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentencepiece, "SentencePieceProcessor", keep)
        vocabulary = SharedVocabulary.train(TEXTS, 400, Sampling(0.5), "unigram")
    return vocabulary, kept["model"]


@given(st.text() | LETTERS | st.sampled_from([line for lines in TEXTS.values() for line in lines]))
def test_ids_are_those_of_sentencepiece(pair, text):
    vocabulary, model = pair
    whole = text.replace("\0", "").encode("utf-8", "replace").decode()  # SentencePiece ends at NUL
    normal = find_preset("metaspace").normalizer().normalize_str(whole)
    assert vocabulary.encode(whole) == model.encode(normal)


def test_pieces_and_scores_are_those_of_sentencepiece(pair):
    vocabulary, model = pair
    assert vocabulary.size == model.get_piece_size()
    assert vocabulary.tag_id("ja") == model.piece_to_id("<ja>")


def test_other_pretokenizers_are_refused():
    with pytest.raises(ConfigError, match="cuts text as SentencePiece does"):
        SharedVocabulary.train(TEXTS, 400, strategy="unigram", pretokenizer="gpt2")


def test_without_sentencepiece(monkeypatch):
    real = builtins.__import__

    def refuse(name, *words, **more):
        if name == "sentencepiece":
            raise ImportError(name)
        return real(name, *words, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match="sentencepiece, which is not installed: pip install"):
        SharedVocabulary.train(TEXTS, 400, strategy="unigram")


def test_what_sentencepiece_refuses_is_a_config_error(monkeypatch):
    monkeypatch.setattr(unigram, "check_alphabet", lambda *_: None)
    with pytest.raises(ConfigError, match="SentencePiece cannot learn 270 rows"):
        SharedVocabulary.train(TEXTS, 270, strategy="unigram")
