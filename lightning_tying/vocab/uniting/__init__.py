"""Uniting: the tokenizers of several vocabularies go in, one tokenizer whose ids are the rows of a map comes out."""

from lightning_tying.vocab.uniting.unite import unite_tokenizers

__all__ = ["unite_tokenizers"]
