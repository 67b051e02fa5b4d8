"""Sources of text batches: a token store goes in; windows or labelled texts come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_tying.data.corpus import Split
from lightning_tying.data.row_source import Batch, gather, gather_messages, group_bounds
from lightning_tying.data.token_store import TokenStore
from lightning_tying.vocab.vocabulary import Vocabulary

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
        self, store: TokenStore, split: Split, languages: Sequence[str], vocabulary: Vocabulary, length: int
    ) -> None:
        spans = [store.span(split, language) for language in languages]
        starts = [np.arange(first, stop, length, dtype=np.int64) for first, stop in spans]
        ends = [np.minimum(start + length, stop) for start, (_, stop) in zip(starts, spans, strict=True)]
        counts = [len(start) for start in starts]
        self.groups = group_bounds(counts)
        self._starts = np.concatenate([np.zeros(0, np.int64), *starts])
        self._lengths = np.concatenate([np.zeros(0, np.int64), *ends]) - self._starts
        self._language = np.repeat(np.arange(len(languages)), counts)
        self._tags = np.array([vocabulary.tag_id(language) for language in languages], dtype=np.int64)
        self._bytes = np.array([vocabulary.byte_counts(language) for language in languages], dtype=np.int64)
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
            "bytes": torch.as_tensor(self._bytes[language[:, None], targets].sum(axis=1)),
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
        self, store: TokenStore, split: Split, languages: Sequence[str], vocabulary: Vocabulary, length: int
    ) -> None:
        messages = [np.arange(*store.messages(split, language), dtype=np.int64) for language in languages]
        counts = [len(numbers) for numbers in messages]
        self.groups = group_bounds(counts)
        self._messages = np.concatenate([np.zeros(0, np.int64), *messages])
        self._language = np.repeat(np.arange(len(languages)), counts)
        self._store, self._length, self._pad, self._eos = store, length, vocabulary.pad_id, vocabulary.eos_id

    def __len__(self) -> int:
        return len(self._messages)

    def batch(self, rows: Numbers) -> Batch:
        """`{"input": int64 [B, S], "label": int64 [B]}`."""
        tokens = gather_messages(self._store, self._messages[rows], self._length, self._pad, self._eos)
        return {"input": torch.as_tensor(tokens), "label": torch.as_tensor(self._language[rows])}
