"""The choice of a vocabulary: a corpus and options go in, the given, cached or newly made vocabulary comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import tokenizers

from lightning_tying.data.cache import cache_key, write_whole
from lightning_tying.data.corpus import Corpus
from lightning_tying.data.dictionary import dictionary_stamp
from lightning_tying.data.text_options import TextOptions
from lightning_tying.data.vocabulary_making import learn_vocabulary, side_sizes, unite_members
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.separate_vocabularies import SeparateVocabularies
from lightning_tying.vocab.vocabulary import Vocabulary, load_vocabulary

_RECIPE = 2  # raise it when the making changes


def choose_vocabulary(corpus: Corpus, options: TextOptions, folder: Path) -> Vocabulary:
    """The vocabulary of `options.vocabulary`, or one learned from the training split; kept in the cache.

    Args:
        corpus: the texts.
        options: sizes, sampling, recipe and paths.
        folder: the cache.

    Raises:
        ConfigError: a file is no vocabulary, or there are more rows than the networks are built with.
    """
    given = options.vocabulary
    if given is None:
        vocabulary = _make_or_load(folder, lambda: learn_vocabulary(corpus, options), corpus.digest, *_facts(options))
        check_size(vocabulary, options, "the vocabulary that was learned")
    elif isinstance(given, str):
        vocabulary = load_vocabulary(given)
        check_size(vocabulary, options, given)
    else:
        vocabulary = _join_members(given, corpus, options, folder)
        check_size(vocabulary, options, ", ".join(given.values()))
    return vocabulary


def check_tags(vocabulary: Vocabulary, languages: list[str], where: str) -> None:
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


def check_size(vocabulary: Vocabulary, options: TextOptions, where: str) -> None:
    """Refuse a vocabulary with more rows than the data's options promise to networks.

    Raises:
        ConfigError: naming the option to change.
    """
    if isinstance(vocabulary, SeparateVocabularies) != options.separate:
        raise ConfigError(
            "data.source_vocabulary_size says that source and target keep their own vocabularies; "
            f"{where} holds {'two' if isinstance(vocabulary, SeparateVocabularies) else 'one'}. "
            + ("Leave it out." if options.separate else "Give it.")
        )
    members = vocabulary.members if isinstance(vocabulary, SeparateVocabularies) else {"": vocabulary}
    promised = side_sizes(members, options)
    for language, member in members.items():
        option = "source_vocabulary_size" if language in options.asked_sources else "vocabulary_size"
        if member.size > promised[language]:
            raise ConfigError(
                f"data.vocabulary: {where} has {member.size} rows, more than data.{option} ({promised[language]}), "
                f"which networks are built with; set data.{option}: {member.size}."
            )


def _join_members(given: Mapping[str, str], corpus: Corpus, options: TextOptions, folder: Path) -> Vocabulary:
    missing = [language for language in corpus.languages if language not in given]
    if missing:
        raise ConfigError(f"data.vocabulary names no tokenizer.json for {', '.join(missing)}.")
    members = {language: SharedVocabulary.load(given[language]) for language in corpus.languages}
    for language, member in members.items():
        check_tags(member, [language], f"data.vocabulary: {given[language]}")
    if options.separate:
        return SeparateVocabularies(members)
    digests = [member.digest for member in members.values()]
    if options.recipe.rows is not None:  # another file: read and checked every time
        return unite_members(members, options.recipe, corpus.splits["train"])
    return _make_or_load(
        folder,
        lambda: unite_members(members, options.recipe, corpus.splits["train"]),
        corpus.digest,
        digests,
        *_facts(options),
    )


def _facts(options: TextOptions) -> tuple[object, ...]:
    """What besides texts and tokenizers decides a vocabulary."""
    sizes = options.vocabulary_size, options.source_vocabulary_size
    return sizes, asdict(options.sampling), asdict(options.recipe), dictionary_stamp(options.recipe.dictionary)


def _make_or_load(folder: Path, make: Callable[[], Vocabulary], *facts: object) -> Vocabulary:
    path = folder / "vocabularies" / f"{cache_key(_RECIPE, tokenizers.__version__, *facts)}.json"
    if path.exists():
        try:
            return load_vocabulary(path)
        except ConfigError:  # damaged: made again, and written over it
            pass
    vocabulary = make()
    write_whole(path, [vocabulary.to_json().encode()])
    return vocabulary
