"""Clustered BPE: texts go in, a BPE for each group of languages alike is learned, their union comes out as one.

Chung et al. 2020, "Improving multilingual models with language-clustered vocabularies".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil

import numpy as np
from tokenizers import Tokenizer, models

from lightning_tying.vocab.merges import Merge
from lightning_tying.vocab.training.bpe import BpeStart, learned_merges, make_empty, make_start, mark_special
from lightning_tying.vocab.training.joint import train_joint
from lightning_tying.vocab.training.kmeans import cluster_vectors
from lightning_tying.vocab.training.request import Trained, TrainingRequest, ignore_progress

_PIECES = 2000  # of each language's own vocabulary: enough to tell languages apart, and learned in no time
_LANGUAGES_A_CLUSTER = 4


def train_clustered(request: TrainingRequest) -> Trained:
    """The union of one BPE for each cluster of languages, exactly as large as asked for where the texts give as much.

    Languages are clustered by k-means over which pieces their own vocabularies have. A cluster's part of the rows is
    in proportion to the pieces that its languages have together. The merges follow one another by their rank within
    their cluster's part; a merge that several clusters learned is there once.

    Args:
        request: texts, size, sampling, pre-tokenizer and number of clusters.

    Raises:
        ConfigError: the alphabet alone has more rows than were asked for.
    """
    own = _learn_own(request)
    clusters = group_languages(own, request.clusters or ceil(len(own) / _LANGUAGES_A_CLUSTER))
    parts = [len(set[Merge]().union(*(own[language] for language in group))) for group in clusters]
    learned: list[list[Merge]] = []
    for number, group in enumerate(clusters):
        request.progress("learning clusters", number, len(clusters))
        learned.append(_learn(request, group, request.size))
    start = make_start(request)
    merges = unite_merges(learned, parts, start.alphabet, request.size - start.rows)
    shares = [part / sum(parts) for part in parts]
    details = [{"languages": group, "share": round(share, 4)} for group, share in zip(clusters, shares, strict=True)]
    return Trained(_build(request, start, merges), {"clusters": details})


def group_languages(pieces: dict[str, list[Merge]], clusters: int) -> list[list[str]]:
    """The languages in groups, by what their own vocabularies have in common.

    Args:
        pieces: what the vocabulary of each language learned.
        clusters: how many groups.
    """
    column = {piece: place for place, piece in enumerate(dict.fromkeys(p for each in pieces.values() for p in each))}
    vectors = np.zeros((len(pieces), max(1, len(column))))
    for row, each in enumerate(pieces.values()):
        vectors[row, [column[piece] for piece in each]] = 1.0
    vectors /= np.maximum(1.0, np.sqrt(vectors.sum(axis=1, keepdims=True)))
    labels = cluster_vectors(vectors, clusters)
    return [
        [language for language, label in zip(pieces, labels, strict=True) if label == number]
        for number in range(max(labels) + 1)
    ]


def unite_merges(
    learned: Sequence[Sequence[Merge]], parts: Sequence[int], alphabet: Iterable[str], rows: int
) -> list[Merge]:
    """The merges of all clusters, those that come early in their cluster first, until they make `rows` pieces.

    Args:
        learned: the merges of each cluster, the first learned first.
        parts: the size of each cluster's part, in any unit.
        alphabet: the pieces that are there before.
        rows: how many pieces the merges may make.
    """
    ranked = sorted(
        ((rank + 1) / max(1, parts[cluster]), cluster, rank, merge)
        for cluster, merges in enumerate(learned)
        for rank, merge in enumerate(merges)
    )
    known, made, chosen = set(alphabet), 0, dict[Merge, None]()
    for _, _, _, merge in ranked:
        if not known.issuperset(merge):  # a letter too rare among all languages together
            continue
        if "".join(merge) not in known:
            if made == rows:
                break
            made += 1
            known.add("".join(merge))
        chosen.setdefault(merge)
    return list(chosen)


def _learn_own(request: TrainingRequest) -> dict[str, list[Merge]]:
    own: dict[str, list[Merge]] = {}
    for number, language in enumerate(request.texts):
        request.progress("learning each language", number, len(request.texts))
        own[language] = _learn(request, [language], _PIECES)
    return own


def _learn(request: TrainingRequest, languages: Sequence[str], merges: int) -> list[Merge]:
    texts = {language: request.texts[language] for language in languages}
    part = replace(request, texts=texts, progress=ignore_progress)
    return learned_merges(train_joint(replace(part, size=make_start(part).rows + merges)).tokenizer)


def _build(request: TrainingRequest, start: BpeStart, merges: Sequence[Merge]) -> Tokenizer:
    pieces = dict.fromkeys([*start.special_tokens, *start.alphabet, *map("".join, merges)])
    vocabulary = {piece: id for id, piece in enumerate(pieces)}
    tokenizer = make_empty(request)
    tokenizer.model = models.BPE(vocabulary, list(merges), byte_fallback=not start.byte_level)
    mark_special(tokenizer, request.special_tokens)
    return tokenizer
