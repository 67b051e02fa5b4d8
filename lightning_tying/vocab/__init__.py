"""Shared vocabularies for many languages: texts go in, one tokenizer with a tag for each language comes out."""

from lightning_tying.vocab.sampling import Sampling
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary

__all__ = ["Sampling", "SharedVocabulary"]
