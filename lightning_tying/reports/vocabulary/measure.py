"""A vocabulary and texts in several languages in; its figures, the worst language first, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np

from lightning_tying.errors import ConfigError
from lightning_tying.reports.vocabulary.figures import LanguageFigures, PairFigures, VocabularyFigures
from lightning_tying.vocab.measures.compression import bytes_per_token, characters_per_token, count_bytes
from lightning_tying.vocab.measures.encoding import Encode, Messages, count_tokens, remember
from lightning_tying.vocab.measures.false_friends import find_false_friends
from lightning_tying.vocab.measures.fertility import fertility, whole_words
from lightning_tying.vocab.measures.losses import round_trip_rate, unknown_rate
from lightning_tying.vocab.measures.overlap import measure_overlap
from lightning_tying.vocab.measures.parity import gini, is_parallel, premiums
from lightning_tying.vocab.measures.subject import Subject, Vocabulary, make_subject
from lightning_tying.vocab.measures.usage import Counts, count_rows, dead_rows, renyi_efficiency
from lightning_tying.vocab.measures.words import has_words, split_words


@dataclass(frozen=True)
class _Measured:
    """What is measured once for all languages: what each pays, how often it uses each row, and which rows it has."""

    premiums: Mapping[str, float]
    counts: Mapping[str, Counts]
    owned: Mapping[str, Counts]


def measure_vocabulary(
    vocabulary: Subject | Vocabulary,
    texts: Mapping[str, Sequence[str]],
    parallel: Messages | None = None,
    *,
    corpus: Messages | None = None,
    reference: str | None = None,
) -> VocabularyFigures:
    """Measure how a vocabulary serves its languages.

    Args:
        vocabulary: a `SharedVocabulary`, a `UnitedVocabulary`, or the `Subject` of any other tokenizer.
        texts: held-out texts of each language, for what a text costs and what is lost.
        parallel: language → key → text, for premiums; equal keys are translations. None where there are none.
        corpus: more text of the same kind, for what needs much of it: which rows are used, what two languages share,
            false friends. None for `texts` and `parallel`.
        reference: the language that premiums compare with; None for English, or else the first.

    Returns:
        The figures; a language without text is left out, with a note.

    Raises:
        ConfigError: there is no text at all, or the reference has none.
    """
    subject = vocabulary if isinstance(vocabulary, Subject) else make_subject(vocabulary)
    there = {language: list(each) for language, each in texts.items() if any(each)}
    if not there:
        raise ConfigError(f"There is no text to measure {subject.name} with; give texts of at least one language.")
    encode = remember(subject.encode)
    parallel = {language: each for language, each in (parallel or {}).items() if each}
    parallel = parallel if is_parallel(parallel) else {}
    base = _choose_reference(parallel, reference)
    costs = premiums(encode, parallel, base) if base else {}
    counts = {each: count_rows(encode(_texts_of(each, there, corpus), each), subject.size) for each in there}
    owned = {language: _owned_rows(subject, language, each) for language, each in counts.items()}
    measured = _Measured(costs, counts, owned)
    languages = [_measure_language(subject, encode, each, there[each], measured) for each in there]
    total = np.sum(list(measured.counts.values()), axis=0)
    paid = [costs[language] for language in there if language in costs]
    return VocabularyFigures(
        vocabulary=subject.name,
        rows=subject.size,
        pieces=len(subject.pieces),
        dead_rows=len(dead_rows(total, subject.pieces)),
        separate_rows=subject.separate_rows,
        reference=base,
        premium_mean=fmean(paid) if paid else None,
        premium_max=max(paid, default=None),
        premium_ratio=max(paid) / min(paid) if paid else None,
        gini=gini(paid),
        renyi=renyi_efficiency(total),
        languages=tuple(sorted(languages, key=_badness, reverse=True)),
        pairs=tuple(_measure_pairs(measured)),
        false_friends=tuple(find_false_friends((corpus or parallel) if parallel else {})),
        notes=tuple(_notes(texts, there, costs, base)),
    )


def _choose_reference(parallel: Messages, asked: str | None) -> str | None:
    if asked is not None and asked not in parallel:
        known = ", ".join(parallel) or "none"
        raise ConfigError(f"There is no parallel text in {asked!r}, the reference; there is in: {known}.")
    if not parallel:
        return None
    return asked or ("en" if "en" in parallel else next(iter(parallel)))


def _texts_of(language: str, texts: Mapping[str, Sequence[str]], corpus: Messages | None) -> list[str]:
    return list((corpus or {}).get(language, {}).values()) or list(texts[language])


def _owned_rows(subject: Subject, language: str, used: Counts) -> Counts:
    """The rows of the language's own vocabulary, where it has one; else those that its texts use."""
    if language not in subject.members:
        return used
    rows = np.zeros(subject.size, np.int64)
    rows[list(subject.members[language])] = 1
    return rows


def _measure_language(
    subject: Subject, encode: Encode, language: str, texts: Sequence[str], measured: _Measured
) -> LanguageFigures:
    spaced = has_words(language)
    # as words stand in a running text: with the blank that most vocabularies keep with the word
    words = [f" {word}" for text in texts for word in split_words(text)] if spaced else []
    counts = measured.counts[language]
    return LanguageFigures(
        language=language,
        texts=len(texts),
        bytes=sum(map(count_bytes, texts)),
        tokens=count_tokens(encode, texts, language),
        rows_used=int((counts > 0).sum()),
        fertility=fertility(encode, texts, language) if spaced else None,
        premium=measured.premiums.get(language),
        bytes_per_token=bytes_per_token(encode, texts, language),
        characters_per_token=characters_per_token(encode, texts, language),
        whole_words=whole_words(encode, words, language),
        renyi=renyi_efficiency(counts),
        unknown=unknown_rate(encode, texts, language, subject.unknown),
        round_trip=round_trip_rate(encode, subject.decode, texts, language),
        shared=_shared_running(language, measured),
    )


def _shared_running(language: str, measured: _Measured) -> float | None:
    counts = measured.counts[language]
    others = [rows > 0 for other, rows in measured.owned.items() if other != language]
    if not counts.sum() or not others:
        return None
    return float(counts[np.any(others, axis=0)].sum() / counts.sum())


def _measure_pairs(measured: _Measured) -> list[PairFigures]:
    used = np.any([counts > 0 for counts in (*measured.counts.values(), *measured.owned.values())], axis=0)
    counts = {language: each[used] for language, each in measured.counts.items()}  # rows that nobody has tell nothing
    owned = {language: each[used] for language, each in measured.owned.items()}
    pairs: list[PairFigures] = []
    for one, other in combinations(counts, 2):
        found = measure_overlap(counts[one], counts[other], (owned[one], owned[other]))
        if found is not None:
            pairs.append(PairFigures((one, other), found.divergence, found.coverage, found.running, found.saved))
    return sorted(pairs, key=lambda pair: pair.divergence)


def _badness(figures: LanguageFigures) -> tuple[float, float, float, float]:
    """What makes a language worse, the gravest first: text that is lost, unknown tokens, price, short tokens."""
    lost = 1 - (1.0 if figures.round_trip is None else figures.round_trip)
    return lost, figures.unknown or 0.0, figures.premium or 0.0, -(figures.bytes_per_token or 0.0)


def _notes(
    texts: Mapping[str, Sequence[str]], there: Iterable[str], costs: Mapping[str, float], base: str | None
) -> Iterable[str]:
    empty = [language for language in texts if language not in there]
    if empty:
        yield f"There is no text in {', '.join(empty)}; these are left out."
    if base is None:
        yield "There are no parallel texts, so premiums, Gini and false friends are not measured."
        return
    alone = [language for language in there if language not in costs]
    if alone:
        yield f"No message of {', '.join(alone)} is translated into {base}, so premiums leave these out."
