"""Nothing in; measured figures of small vocabularies out, each made once."""

from __future__ import annotations

from functools import cache

from lightning_tying.reports.vocabulary import VocabularyFigures, measure_vocabulary
from lightning_tying.vocab.measures.subject import Subject
from lightning_tying.vocab.measures.tokenizer_subject import make_tokenizer_subject
from tests.unit.vocab.measures.samples import MESSAGES, TEXTS, byte_bpe, word_piece


@cache
def subject(kind: str = "byte_bpe") -> Subject:
    return make_tokenizer_subject({"byte_bpe": byte_bpe, "word_piece": word_piece}[kind](), kind)


@cache
def figures(kind: str = "byte_bpe") -> VocabularyFigures:
    return measure_vocabulary(subject(kind), TEXTS, MESSAGES)
