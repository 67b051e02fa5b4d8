"""Extending: a trained vocabulary and texts of other languages go in; the same with more pieces comes out, ids kept.

What is learned joins old pieces and ranks after all old merges. Adding the words as tokens instead
(`Tokenizer.add_tokens`) would cut them out of old texts first, and change most of their segmentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.pretokenizer import make_whole
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.special_tokens import language_tag
from lightning_tying.vocab.training.checks import MAX_SIZE, check_texts

INSTALL = "pip install 'lightning-tying[vocab]'"


def extend_vocabulary(vocabulary: SharedVocabulary, texts: Mapping[str, Sequence[str]], size: int) -> SharedVocabulary:
    """Learn more pieces; every old id stays, and an old text changes only where old pieces are joined.

    Args:
        vocabulary: a BPE; it stays as it is.
        texts: the texts to learn from by language. A language that the vocabulary has no tag for gets one.
        size: rows in all, those of the old vocabulary included. A small corpus may give fewer.

    Raises:
        ConfigError: the vocabulary is no BPE, there are no texts, `size` has no room for tags and one new piece, or
            the package bpe-continue is not installed.
    """
    tags = [language_tag(language) for language in texts if language not in vocabulary.language_ids]
    _check(vocabulary, texts, size, len(tags))
    try:
        from bpe_continue import continue_training  # an extra, and only for this
    except ImportError as error:
        raise ConfigError(f"Vocabularies are extended with the package bpe-continue: {INSTALL}") from error
    lines = [make_whole(line) for language in texts.values() for line in language]
    try:
        grown = continue_training(
            vocabulary.to_json(), texts=lines, vocab_size=size, special_tokens=tags, show_progress=False
        )
    except (ValueError, OSError) as error:  # what its native part raises
        raise ConfigError(f"The vocabulary cannot be extended: {error}") from error
    return SharedVocabulary(grown, asked=size)


def _check(vocabulary: SharedVocabulary, texts: Mapping[str, Sequence[str]], size: int, tags: int) -> None:
    model = json.loads(vocabulary.to_json())["model"]
    kind = model["type"]
    if kind != "BPE":
        raise ConfigError(
            f"Only a BPE can be extended so that every id stays, and this vocabulary is a {kind}. "
            "Learn another one and unite the two (`lightning-tying vocab unite`)."
        )
    if len(model["vocab"]) < vocabulary.size:
        raise ConfigError(
            f"The vocabulary has {vocabulary.size - len(model['vocab'])} ids without a piece, and new pieces would not "
            "know where to stand. `lightning-tying vocab trim` closes such holes."
        )
    problems = list(check_texts(texts)) if texts else ["There are no texts to learn from."]
    if problems:
        raise ConfigError("\n".join(problems))
    least = vocabulary.size + tags + 1
    if size < least:
        raise ConfigError(
            f"A size of {size} leaves no room: the vocabulary has {vocabulary.size} rows, all of which stay, and "
            f"{tags} new language tags; ask for {least} or more."
        )
    if size > MAX_SIZE:
        raise ConfigError(f"A size of {size:,} is too large; ask for {MAX_SIZE:,} rows at most.")
