"""Sources of text batches: a token store goes in; windows, pairs of translations or labelled texts come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_tying.data.corpus import Corpus, Split
from lightning_tying.data.row_source import Batch, gather
from lightning_tying.data.token_store import TokenStore
from lightning_tying.vocab import SharedVocabulary

Numbers = NDArray[np.int64]


@final
class WindowRows:
    """Language modeling: each language's messages in one stream, cut into windows that do not overlap.

    Every token of every message is the target of exactly one window.

    Args:
        store: the tokens.
        split: which part of it.
        languages: their order gives the index in the batch.
        vocabulary: for tags, padding and the bytes of each token.
        length: targets of a window, T.
    """

    def __init__(
        self, store: TokenStore, split: Split, languages: Sequence[str], vocabulary: SharedVocabulary, length: int
    ) -> None:
        spans = [store.span(split, language) for language in languages]
        starts = [np.arange(first, stop, length, dtype=np.int64) for first, stop in spans]
        ends = [np.minimum(start + length, stop) for start, (_, stop) in zip(starts, spans, strict=True)]
        counts = [len(start) for start in starts]
        self.groups = _groups(counts)
        self._starts = np.concatenate([np.zeros(0, np.int64), *starts])
        self._lengths = np.concatenate([np.zeros(0, np.int64), *ends]) - self._starts
        self._language = np.repeat(np.arange(len(languages)), counts)
        self._tags = np.array([vocabulary.tag_id(language) for language in languages], dtype=np.int64)
        self._bytes = np.array(vocabulary.byte_counts(), dtype=np.int64)
        self._tokens, self._width, self._pad = store.tokens, length, vocabulary.pad_id

    def __len__(self) -> int:
        return len(self._starts)

    def batch(self, rows: Numbers) -> Batch:
        """`{"tokens": int64 [B, T+1], "language": int64 [B], "bytes": int64 [B]}`, the language's tag first."""
        language = self._language[rows]
        targets = gather(self._tokens, self._starts[rows], self._lengths[rows], self._width, self._pad)
        return {
            "tokens": torch.as_tensor(np.concatenate([self._tags[language][:, None], targets], axis=1)),
            "language": torch.as_tensor(language),
            "bytes": torch.as_tensor(self._bytes[targets].sum(axis=1)),
        }


@final
class PairRows:
    """Translation: each message of the source language with its translation into each target language.

    For training, pairs with a side of more than `length` tokens are left out; elsewhere they are cut to it.

    Args:
        corpus: the texts, for the references.
        store: its tokens.
        split: which part of it.
        languages: their order gives the index in the batch.
        source: the language to translate from; all others are translated into.
        vocabulary: for tags, `<eos>` and padding.
        length: the most tokens of a side, tag and `<eos>` included.
    """

    def __init__(
        self,
        corpus: Corpus,
        store: TokenStore,
        split: Split,
        *,
        languages: Sequence[str],
        source: str,
        vocabulary: SharedVocabulary,
        length: int,
    ) -> None:
        pairs = [_pair_messages(corpus, store, split, source, language) for language in languages]
        if split == "train":
            pairs = [_drop_long(pair, store, length) for pair in pairs]
        counts = [pair.shape[1] for pair in pairs]
        self.groups = _groups(counts)
        self._source, self._target = np.concatenate(pairs, axis=1)
        self._language = np.repeat(np.arange(len(languages)), counts)
        self._texts = [text for language in store.sections[split] for text in corpus.splits[split][language].values()]
        self._first = min((first for first, _ in store.sections[split].values()), default=0)
        self._tags = np.array([vocabulary.tag_id(language) for language in languages], dtype=np.int64)
        self._store, self._length, self._pad, self._eos = store, length, vocabulary.pad_id, vocabulary.eos_id

    def __len__(self) -> int:
        return len(self._source)

    def batch(self, rows: Numbers) -> Batch:
        """`source` int64 [B, S], `target` int64 [B, T], `language` int64 [B], `reference` and `source_text` lists."""
        language = self._language[rows]
        target = _gather_messages(self._store, self._target[rows], self._length - 1, self._pad, self._eos)
        source = _gather_messages(self._store, self._source[rows], self._length, self._pad, self._eos)
        return {
            "source": torch.as_tensor(source),
            "target": torch.as_tensor(np.concatenate([self._tags[language][:, None], target], axis=1)),
            "language": torch.as_tensor(language),
            "reference": [self._texts[message - self._first] for message in self._target[rows]],
            "source_text": [self._texts[message - self._first] for message in self._source[rows]],
        }


@final
class LabelRows:
    """Language identification: each message with the index of its language; no tag gives it away.

    Args:
        store: the tokens.
        split: which part of it.
        languages: their order gives the label.
        vocabulary: for `<eos>` and padding.
        length: the most tokens of a message, `<eos>` included; longer ones are cut.
    """

    def __init__(
        self, store: TokenStore, split: Split, languages: Sequence[str], vocabulary: SharedVocabulary, length: int
    ) -> None:
        messages = [np.arange(*store.messages(split, language), dtype=np.int64) for language in languages]
        counts = [len(numbers) for numbers in messages]
        self.groups = _groups(counts)
        self._messages = np.concatenate([np.zeros(0, np.int64), *messages])
        self._language = np.repeat(np.arange(len(languages)), counts)
        self._store, self._length, self._pad, self._eos = store, length, vocabulary.pad_id, vocabulary.eos_id

    def __len__(self) -> int:
        return len(self._messages)

    def batch(self, rows: Numbers) -> Batch:
        """`{"input": int64 [B, S], "label": int64 [B]}`."""
        tokens = _gather_messages(self._store, self._messages[rows], self._length, self._pad, self._eos)
        return {"input": torch.as_tensor(tokens), "label": torch.as_tensor(self._language[rows])}


def _groups(counts: Sequence[int]) -> list[tuple[int, int]]:
    ends = np.cumsum(counts).tolist()
    return [(end - count, end) for end, count in zip(ends, counts, strict=True)]


def _pair_messages(corpus: Corpus, store: TokenStore, split: Split, source: str, target: str) -> Numbers:
    """The numbers of the messages that both languages have, int64 [2, pairs]."""
    if source == target:
        return np.zeros((2, 0), np.int64)
    place = {key: number for number, key in enumerate(corpus.splits[split][source], store.messages(split, source)[0])}
    keys = enumerate(corpus.splits[split][target], store.messages(split, target)[0])
    pairs = [(place[key], number) for number, key in keys if key in place]
    return np.array(pairs, np.int64).reshape(-1, 2).T


def _drop_long(pairs: Numbers, store: TokenStore, length: int) -> Numbers:
    lengths = np.diff(store.offsets)
    return pairs[:, (lengths[pairs[0]] <= length) & (lengths[pairs[1]] < length)]  # the target has a tag besides


def _gather_messages(store: TokenStore, messages: Numbers, length: int, pad_id: int, eos_id: int) -> Numbers:
    starts = store.offsets[messages]
    whole = store.offsets[messages + 1] - starts
    lengths = np.minimum(whole, length)
    tokens = gather(store.tokens, starts, lengths, int(lengths.max()), pad_id)
    tokens[whole > length, length - 1 :] = eos_id  # a message that is cut ends like any other
    return tokens
