"""Rows for translation: a token store and directions go in, batches of sources and targets come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch

from lightning_tying.data.corpus import Corpus, Split
from lightning_tying.data.row_source import Batch, gather_messages, group_bounds
from lightning_tying.data.token_store import TokenStore
from lightning_tying.data.translation_pairs import Directions, Numbers, drop_long, pair_messages
from lightning_tying.vocab.vocabulary import Vocabulary


@final
class PairRows:
    """Translation: each message with its translation, in every direction; each direction is a group.

    For training, pairs with a side of more than `length` tokens are left out; elsewhere they are cut to it.

    Args:
        corpus: the texts, for the references.
        store: its tokens.
        split: which part of it.
        languages: their order gives the index in the batch.
        directions: (source, target) of each.
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
        directions: Directions,
        vocabulary: Vocabulary,
        length: int,
    ) -> None:
        pairs = pair_messages(corpus, store, split, directions)
        self._pairs = drop_long(pairs, store, length) if split == "train" else pairs
        self.groups = group_bounds(self._pairs.counts)
        place = {language: index for index, language in enumerate(languages)}
        self._sides = np.array([[place[side] for side in pair] for pair in directions], np.int64).reshape(-1, 2)
        self._texts = [text for language in store.sections[split] for text in corpus.splits[split][language].values()]
        self._first = min((first for first, _ in store.sections[split].values()), default=0)
        self._tags = np.array([vocabulary.tag_id(language) for language in languages], dtype=np.int64)
        self._store, self._length, self._pad, self._eos = store, length, vocabulary.pad_id, vocabulary.eos_id

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def widths(self) -> Numbers:
        """Tokens of each row's source and target, tag and `<eos>` included: int64 [rows, 2]."""
        lengths = np.diff(self._store.offsets)
        sides = np.stack([lengths[self._pairs.source], lengths[self._pairs.target] + 1], axis=1)
        return np.minimum(sides, self._length)

    def batch(self, rows: Numbers) -> Batch:
        """The batch of these rows.

        `source` int64 [B, S], `target` int64 [B, T] (its language's tag first), `language` and `source_language` int64
        [B], `reference` and `source_text` lists of texts.
        """
        sources, targets = self._pairs.source[rows], self._pairs.target[rows]
        source_language, language = self._sides[self._pairs.direction[rows]].T
        target = gather_messages(self._store, targets, self._length - 1, self._pad, self._eos)
        source = gather_messages(self._store, sources, self._length, self._pad, self._eos)
        return {
            "source": torch.as_tensor(source),
            "target": torch.as_tensor(np.concatenate([self._tags[language][:, None], target], axis=1)),
            "language": torch.as_tensor(language),
            "source_language": torch.as_tensor(source_language),
            "reference": [self._texts[message - self._first] for message in targets],
            "source_text": [self._texts[message - self._first] for message in sources],
        }
