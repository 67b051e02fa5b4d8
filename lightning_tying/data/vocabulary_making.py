"""Making of a vocabulary: a corpus and a recipe go in; one tokenizer, united members or separate ones come out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lightning_tying.data.corpus import Corpus, Messages, align
from lightning_tying.data.dictionary import load_dictionary
from lightning_tying.data.recipe import Recipe
from lightning_tying.data.text_options import TextOptions
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.rows import RowMap, make_row_map
from lightning_tying.vocab.rows.row_map_file import load_row_map
from lightning_tying.vocab.separate_vocabularies import SeparateVocabularies
from lightning_tying.vocab.training.members import train_members
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from lightning_tying.vocab.vocabulary import Vocabulary

_LEAST_ALIGNED = 20  # messages that all languages have


def learn_vocabulary(corpus: Corpus, options: TextOptions) -> Vocabulary:
    """Learn what the recipe says from the training split.

    Args:
        corpus: the texts; for separate vocabularies of two languages, the source first.
        options: size, sampling and recipe.

    Raises:
        ConfigError: the corpus, the sizes and the recipe do not fit.
    """
    texts, recipe = corpus.texts("train"), options.recipe
    if options.separate:
        return SeparateVocabularies(_learn_sides(corpus, options))
    if recipe.strategy == "per_language":
        size = recipe.member_size or options.vocabulary_size // len(texts)
        members = train_members(texts, size, pretokenizer=recipe.pretokenizer)
        return unite_members(members, recipe, corpus.splits["train"])
    dev = _parallel_texts(corpus.splits["train"]) if recipe.strategy == "parity" else None
    return SharedVocabulary.train(
        texts,
        options.vocabulary_size,
        options.sampling,
        recipe.strategy,
        pretokenizer=recipe.pretokenizer,
        dev=dev,
    )


def unite_members(members: Mapping[str, SharedVocabulary], recipe: Recipe, parallel: Messages) -> UnitedVocabulary:
    """One table for the rows of several vocabularies.

    Args:
        members: language → its vocabulary.
        recipe: the row map's file, or the policy that makes one.
        parallel: language → key → text, what policies look at.

    Raises:
        ConfigError: the row map is of other vocabularies, or what a policy needs is missing.
    """
    return UnitedVocabulary(members, _row_map(members, recipe, parallel))


def side_sizes(languages: Iterable[str], options: TextOptions) -> dict[str, int]:
    """The rows of each language's own vocabulary, where source and target keep theirs."""
    source, target = options.source_vocabulary_size or options.vocabulary_size, options.vocabulary_size
    return {language: source if language in options.asked_sources else target for language in languages}


def _row_map(members: Mapping[str, SharedVocabulary], recipe: Recipe, parallel: Messages) -> RowMap:
    if recipe.rows is not None:
        return load_row_map(Path(recipe.rows).expanduser(), members)
    groups = load_dictionary(recipe.dictionary, list(members), parallel) if recipe.dictionary else None
    return make_row_map(members, recipe.policy, parallel=parallel, dictionary=groups, threshold=recipe.threshold)


def _learn_sides(corpus: Corpus, options: TextOptions) -> dict[str, SharedVocabulary]:
    sizes = side_sizes(corpus.languages, options)
    return {
        language: train_members({language: texts}, sizes[language], pretokenizer=options.recipe.pretokenizer)[language]
        for language, texts in corpus.texts("train").items()
    }


def _parallel_texts(messages: Messages) -> dict[str, list[str]]:
    """The aligned texts of all languages, line by line, for the trainer's own comparison.

    Raises:
        ConfigError: hardly any message is there in every language.
    """
    texts = {language: list(lines.values()) for language, lines in align(messages).items()}
    count = min(map(len, texts.values()))
    if count < _LEAST_ALIGNED:
        fewest = min(messages, key=lambda language: len(messages[language]))
        raise ConfigError(
            f"data.recipe.strategy: parity compares the languages on messages that all of them have; there are "
            f"{count}, and {_LEAST_ALIGNED} are needed. Leave languages out "
            f"({fewest} has the fewest messages), or learn a joint vocabulary."
        )
    return texts
