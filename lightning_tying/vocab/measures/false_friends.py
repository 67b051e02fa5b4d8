"""Words that look alike and mean something else: parallel texts go in, the words of each two languages come out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from lightning_tying.vocab.measures.encoding import Messages
from lightning_tying.vocab.measures.words import word_forms
from lightning_tying.vocab.words import dice

FEWEST = 3  # messages in which a word must stand, in both languages
LIKE = 0.1  # a Dice coefficient below it: the two words hardly ever translate each other


@dataclass(frozen=True)
class FalseFriend:
    """One word form of two languages.

    Args:
        languages: the two.
        word: in lower case.
        dice: how far the messages that have it agree: 0 never, 1 always.
        counts: in how many of the common messages it stands in each language.
    """

    languages: tuple[str, str]
    word: str
    dice: float
    counts: tuple[int, int]


def find_false_friends(parallel: Messages, fewest: int = FEWEST, below: float = LIKE) -> list[FalseFriend]:
    """Word forms that two languages have and that hardly ever stand in the same message.

    ``Dice = 2 |K_a ∩ K_b| / (|K_a| + |K_b|)`` over the messages (keys) that both languages have.

    Args:
        parallel: language → key → text.
        fewest: in how many common messages a word must stand in each language.
        below: the bound of Dice.

    Returns:
        By pair in the order of the languages; the most frequent first.
    """
    order = {language: place for place, language in enumerate(parallel)}
    friends = [
        friend
        for word, places in _index_words(parallel, fewest).items()
        for one, other in combinations(sorted(places, key=order.__getitem__), 2)
        if (friend := _compare(word, (one, other), places, parallel, fewest)) and friend.dice < below
    ]
    return sorted(friends, key=lambda each: (*map(order.__getitem__, each.languages), -sum(each.counts), each.word))


def _index_words(parallel: Messages, fewest: int) -> dict[str, dict[str, set[str]]]:
    """Word → language → the keys of the messages that have it."""
    index: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for language, texts in parallel.items():
        keys: dict[str, set[str]] = defaultdict(set)
        for key, text in texts.items():
            for word in word_forms(text):
                keys[word].add(key)
        for word, found in keys.items():
            if len(found) >= fewest:
                index[word][language] = found
    return {word: places for word, places in index.items() if len(places) > 1}


def _compare(
    word: str, pair: tuple[str, str], places: Mapping[str, set[str]], parallel: Messages, fewest: int
) -> FalseFriend | None:
    one, other = pair
    first = {key for key in places[one] if key in parallel[other]}
    second = {key for key in places[other] if key in parallel[one]}
    if min(len(first), len(second)) < fewest:
        return None
    return FalseFriend(pair, word, dice(first, second), (len(first), len(second)))
