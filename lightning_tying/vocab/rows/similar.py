"""False friends: pieces that look alike and parallel text go in, which of them mean the same comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows.keys import Keys, Pieces, surface_keys
from lightning_tying.vocab.words import Parallel, dice, places_of_words

LEAST_COUNT = 3  # messages in each language, below which the text says nothing about a word


@dataclass(frozen=True, slots=True)
class Judgment:
    """How alike the parallel text uses one word form in two languages.

    Args:
        word: the form.
        first: a language.
        second: another one.
        dice: from 0 (never in the same message) to 1 (always).
    """

    word: str
    first: str
    second: str
    dice: float


def similar_keys(pieces: Mapping[str, Pieces], parallel: Parallel, threshold: float) -> dict[str, Keys]:
    """Keys by surface, without false friends (policy `surface_similar`).

    A word form that stands in at least three messages of two languages is judged by Dice's coefficient over the
    messages that both have. Below the threshold the two part. Forms too rare to judge, and pieces that are no word of
    two languages, are shared as by surface (Kallini et al. 2025, "False Friends Are Not Foes": sharing everything
    is better than sharing nothing).

    Args:
        pieces: by the member's name, which is a language of `parallel`.
        parallel: language → key → text.
        threshold: of Dice's coefficient, from 0 (nothing parts) to 1.

    Raises:
        ConfigError: no parallel text for a member, or the threshold is out of range.
    """
    if not 0.0 <= threshold <= 1.0:
        raise ConfigError(f"The threshold is {threshold}; Dice's coefficient lies between 0 and 1.")
    keys = {member: surface_keys(own) for member, own in pieces.items()}
    apart: dict[str, set[frozenset[str]]] = {}
    for judgment in judge_words(pieces, parallel):
        if judgment.dice < threshold:
            apart.setdefault(judgment.word, set()).add(frozenset((judgment.first, judgment.second)))
    clusters = {word: _part(list(pieces), pairs) for word, pairs in apart.items()}
    for member, own in keys.items():
        for id, key in enumerate(own):
            if key is None or key[0] != "text":
                continue
            cluster = clusters.get(_word(pieces[member], id), {}).get(member, 0)
            own[id] = ("similar", *key[1:], cluster) if cluster else key
    return keys


def judge_words(pieces: Mapping[str, Pieces], parallel: Parallel) -> Iterator[Judgment]:
    """Every word form that two vocabularies have as a piece, judged where the text has it often enough.

    Args:
        pieces: by the member's name, which is a language of `parallel`.
        parallel: language → key → text.

    Raises:
        ConfigError: no parallel text for a member.
    """
    _check_parallel(pieces, parallel)
    forms = {member: {_word(own, id) for id in range(len(own))} - {""} for member, own in pieces.items()}
    places = {member: places_of_words(parallel[member], words) for member, words in forms.items()}
    for first, second in combinations(pieces, 2):
        both = parallel[first].keys() & parallel[second].keys()
        for word in sorted(places[first].keys() & places[second].keys()):
            here, there = places[first][word] & both, places[second][word] & both
            if min(len(here), len(there)) >= LEAST_COUNT:
                yield Judgment(word, first, second, dice(here, there))


def _word(pieces: Pieces, id: int) -> str:
    """The form that a piece writes out; empty where it is no text of letters."""
    piece = pieces[id]
    if piece is None or piece.special or piece.spelling == "byte":
        return ""
    text = piece.content.decode("utf-8", "ignore")
    return text if text[:1].isalpha() else ""


def _check_parallel(pieces: Mapping[str, Pieces], parallel: Parallel) -> None:
    missing = [member for member in pieces if member not in parallel]
    if missing:
        raise ConfigError(
            f"The policy surface_similar judges by parallel text, and there is none for {', '.join(missing)}; it has: "
            f"{', '.join(parallel) or 'no language'}. Name the members by their languages."
        )


def _part(members: list[str], apart: set[frozenset[str]]) -> dict[str, int]:
    """Each member into the first cluster in which nobody is apart from it."""
    clusters: list[list[str]] = []
    for member in members:
        for cluster in clusters:
            if not any(frozenset((member, other)) in apart for other in cluster):
                cluster.append(member)
                break
        else:
            clusters.append([member])
    return {member: number for number, cluster in enumerate(clusters) for member in cluster}
