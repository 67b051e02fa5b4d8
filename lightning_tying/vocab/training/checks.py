"""Checks of what is asked of a training: a request goes in, nothing comes out, or an error with all mistakes."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.pretokenizer import find_preset
from lightning_tying.vocab.special_tokens import EOS, PAD, RESERVED, language_tag
from lightning_tying.vocab.training.request import Texts, TrainingRequest

MAX_SIZE = 10_000_000  # rows: many times the largest in use; trainers ask for memory for all at once, and abort
MAX_CHARACTERS = 1_000_000  # of one text: more is a file without line ends, and takes a regular expression too long


def check_request(request: TrainingRequest) -> None:
    """Refuse what cannot become a vocabulary.

    Raises:
        ConfigError: with every mistake: no languages, one without text or with a code that is none, texts that are no
            text, fewer rows than bytes and special tokens need, more clusters than languages.
    """
    find_preset(request.pretokenizer)
    if not request.texts:
        raise ConfigError("A vocabulary needs the texts of at least one language, and none was given.")
    problems = [*_check_languages(request.texts), *check_texts(request.texts), *_check_size(request)]
    clusters = request.clusters
    if clusters is not None and not 1 <= clusters <= len(request.texts):
        most = len(request.texts)
        problems.append(f"There cannot be {clusters} clusters of {most} languages; ask for 1 to {most}.")
    if problems:
        raise ConfigError("\n".join(problems))


def check_texts(texts: Texts) -> Iterator[str]:
    """What is wrong with texts to learn from, a sentence each: none, NUL characters, lines without end.

    Args:
        texts: of each language.
    """
    empty = [language for language, lines in texts.items() if not any(line.strip() for line in lines)]
    if empty:
        yield f"A vocabulary needs text in every language; there is none in: {', '.join(empty)}."
    for language, lines in texts.items():
        for number, line in enumerate(lines, 1):
            if "\0" in line:
                yield f"Text {number} of {language} has a NUL character, so it is no text; leave it out."
            elif len(line) > MAX_CHARACTERS:
                yield f"Text {number} of {language} has {len(line):,} characters, more than {MAX_CHARACTERS:,}; cut it."


def check_alphabet(request: TrainingRequest, letters: int, others: int) -> None:
    """Refuse a size that the letters alone would fill.

    Args:
        request: what was asked for.
        letters: how many different ones the texts have, without the rarest.
        others: how many bytes and special tokens there are.

    Raises:
        ConfigError: the size is too small.
    """
    if request.size < letters + others:
        raise ConfigError(
            f"A vocabulary of {request.size} rows is smaller than its alphabet: the texts have {letters} letters, and "
            f"bytes and special tokens take {others} rows. Ask for more than {letters + others}, or take a "
            "pre-tokenizer that makes pieces of bytes (pretokenizer: multilingual)."
        )


def check_dev(request: TrainingRequest) -> list[list[str]]:
    """The dev texts of the languages in their order.

    Raises:
        ConfigError: there are none, of other languages, or of different lengths.
    """
    dev, languages = request.dev, list(request.texts)
    if not dev:
        raise ConfigError(
            "The strategy parity needs dev texts that say the same in every language (dev={'en': [...], 'de': [...]}); "
            "without them it would learn what the language with the most text needs."
        )
    missing = [language for language in languages if not any(dev.get(language, ()))]
    if missing:
        raise ConfigError(f"The dev texts of parity have nothing in: {', '.join(missing)}.")
    lengths = {language: len(dev[language]) for language in languages}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{language} {count}" for language, count in lengths.items())
        raise ConfigError(
            f"The dev texts of parity must be as many in every language, line by line; there are {shown}."
        )
    return [list(dev[language]) for language in languages]


def _check_languages(texts: Texts) -> Iterator[str]:
    for language in texts:
        if language_tag(language) in RESERVED:
            yield f"No language can be called {language!r}: {language_tag(language)} is a special token."
        elif not language or not language.isprintable() or set(language) & set("<> "):
            yield f"{language!r} is no language code; write one such as de or pt-BR."


def _check_size(request: TrainingRequest) -> Iterator[str]:
    least = 256 + 2 + len(request.texts)
    if request.size < least:
        yield (
            f"A vocabulary of {request.size} rows is too small: 256 bytes, {PAD}, {EOS} and {len(request.texts)} "
            f"language tags need {least}; ask for more than that (8000 is a good start)."
        )
    elif request.size > MAX_SIZE:
        yield f"A vocabulary of {request.size:,} rows is too large; ask for {MAX_SIZE:,} at most."
