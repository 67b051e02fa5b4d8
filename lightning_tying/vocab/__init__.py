"""Shared vocabularies for many languages: texts go in, one tokenizer with a tag for each language comes out."""

from lightning_tying.vocab.rows.row_map import RowMap
from lightning_tying.vocab.sampling import Sampling
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary

__all__ = ["RowMap", "Sampling", "SharedVocabulary", "UnitedVocabulary"]
