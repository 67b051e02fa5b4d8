"""The choice of a vocabulary: a corpus and options go in, the given, cached or newly trained vocabulary comes out."""

from __future__ import annotations

from pathlib import Path

import tokenizers

from lightning_tying.data.cache import cache_key, write_whole
from lightning_tying.data.corpus import Corpus
from lightning_tying.data.text_options import TextOptions
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary

_RECIPE = 1  # raise it when the training changes


def choose_vocabulary(corpus: Corpus, options: TextOptions, folder: Path) -> SharedVocabulary:
    """The vocabulary of `options.vocabulary`, or one learned from the training split and kept in the cache.

    Args:
        corpus: the texts.
        options: size, sampling and path.
        folder: the cache.

    Raises:
        ConfigError: the file is no vocabulary, or has more rows than `vocabulary_size`.
    """
    if options.vocabulary is None:
        return _train_or_load(corpus, options, folder)
    vocabulary = SharedVocabulary.load(options.vocabulary)
    if vocabulary.size > options.vocabulary_size:
        raise ConfigError(
            f"data.vocabulary: {options.vocabulary} has {vocabulary.size} rows, more than data.vocabulary_size "
            f"({options.vocabulary_size}), which networks are built with; set data.vocabulary_size: {vocabulary.size}."
        )
    return vocabulary


def check_tags(vocabulary: SharedVocabulary, languages: list[str], where: str) -> None:
    """Refuse a vocabulary that has no tag for a language of the data.

    Raises:
        ConfigError: a tag is missing.
    """
    missing = [language for language in languages if language not in vocabulary.language_ids]
    if missing:
        raise ConfigError(
            f"{where} has no tag for {', '.join(missing)}; it has: {', '.join(vocabulary.language_ids)}. "
            "Choose data.languages among these, or train a vocabulary with all of them."
        )


def _train_or_load(corpus: Corpus, options: TextOptions, folder: Path) -> SharedVocabulary:
    size, alpha = options.vocabulary_size, options.sampling.alpha
    key = cache_key(_RECIPE, tokenizers.__version__, corpus.digest, size, alpha)
    path = folder / "vocabularies" / f"{key}.json"
    if path.exists():
        try:
            return SharedVocabulary.load(path)
        except ConfigError:  # damaged: learned again, and written over it
            pass
    vocabulary = SharedVocabulary.train(corpus.texts("train"), size, options.sampling)
    write_whole(path, [vocabulary.to_json().encode()])
    return vocabulary
