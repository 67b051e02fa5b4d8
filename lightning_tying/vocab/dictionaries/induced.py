"""Dictionaries from parallel text: messages in several languages go in, words that translate each other come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries.dictionary import Dictionary, keep_first
from lightning_tying.vocab.words import Parallel, places_of_words

Places = Mapping[str, set[str]]


def induce(parallel: Parallel, *, pivot: str | None = None, threshold: float = 0.5, least_count: int = 4) -> Dictionary:
    """Pairs of words that are each other's best by Dice's coefficient, put together at the words of one language.

    Args:
        parallel: language → key → text; texts of one key are translations of each other.
        pivot: the language whose words the others are compared with; default English where it is there, else the first.
        threshold: the least Dice's coefficient, above 0.
        least_count: the least number of messages, of both languages, in which each of the two words must stand.

    Raises:
        ConfigError: fewer than two languages, an unknown pivot, or a threshold out of range.
    """
    center = pivot or ("en" if "en" in parallel else next(iter(parallel), ""))
    if len(parallel) < 2 or center not in parallel:
        raise ConfigError(
            f"A dictionary is induced from parallel text in two or more languages, {center or 'the pivot'} among "
            f"them; there are: {', '.join(parallel) or 'none'}."
        )
    if not 0.0 < threshold <= 1.0 or least_count < 1:
        raise ConfigError(
            f"threshold is {threshold} and least_count {least_count}; Dice's coefficient goes to 1, and counts from 1."
        )
    places = {language: places_of_words(texts) for language, texts in parallel.items()}
    groups: dict[str, dict[str, list[str]]] = {word: {center: [word]} for word in places[center]}
    for language in parallel:
        if language == center:
            continue
        both = parallel[language].keys() & parallel[center].keys()
        first, second = (_common(places[one], both, least_count) for one in (center, language))
        for word, other in _mutual_best(first, second, threshold):
            groups[word][language] = [other]
    return keep_first(groups.values())


def _common(places: Places, both: set[str], least_count: int) -> dict[str, set[str]]:
    common = {word: keys & both for word, keys in places.items()}
    return {word: keys for word, keys in common.items() if len(keys) >= least_count}


def _mutual_best(first: Places, second: Places, threshold: float) -> list[tuple[str, str]]:
    """The pairs in which each word is the other's best; a word with two equally good ones has none."""
    by_key: dict[str, list[str]] = {}
    for word, keys in second.items():
        for key in keys:
            by_key.setdefault(key, []).append(word)
    pairs: dict[tuple[str, str], float] = {}
    for word, keys in first.items():
        together = Counter(other for key in keys for other in by_key.get(key, ()))
        pairs.update({(word, o): 2 * n / (len(keys) + len(second[o])) for o, n in together.items()})
    best = (_best(pairs, 0), _best(pairs, 1))
    return [
        (word, other)
        for (word, other), score in pairs.items()
        if score >= threshold and best[0].get(word) == (word, other) == best[1].get(other)
    ]


def _best(pairs: Mapping[tuple[str, str], float], side: int) -> dict[str, tuple[str, str] | None]:
    """For each word of a side its one best pair; None where two are equally good."""
    best: dict[str, tuple[str, str] | None] = {}
    scores: dict[str, float] = {}
    for pair, score in pairs.items():
        word = pair[side]
        if score > scores.get(word, 0.0):
            best[word], scores[word] = pair, score
        elif score == scores[word]:
            best[word] = None
    return best
