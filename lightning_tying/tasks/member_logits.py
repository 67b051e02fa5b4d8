"""Logits over all rows of a united vocabulary in; those of one language's words, whose probabilities sum to 1, out."""

# pyright: reportUnknownMemberType=false
# torch is typed in part only.

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from lightning_tying.vocab.united_vocabulary import UnitedVocabulary


class _Step(Protocol):
    def __call__(self, tokens: Tensor) -> Tensor: ...

    def reorder(self, rows: Tensor) -> None: ...


class MemberLogits(nn.Module):
    """Restricts logits to the rows that a language's vocabulary reads; `forward` gives −∞ to the others.

    A row counts once in the softmax, however many ids of the language read it. So the probability of a row is that of
    all its ids together, and one id has it divided by their number m: log p(id) = log p(row) − log m. Over rows and
    over ids the probabilities sum to 1.

    Args:
        vocabulary: whose ids are rows of one table.
        languages: names of the `language` indices, in their order.

    Raises:
        ConfigError: no member of the vocabulary reads a language.
    """

    allowed: Tensor
    log_multiplicity: Tensor

    def __init__(self, vocabulary: UnitedVocabulary, languages: Sequence[str]) -> None:
        super().__init__()
        counts = np.stack([_count_ids(vocabulary, language) for language in languages])
        # not persistent: they follow from the vocabulary, which checkpoints hold
        self.register_buffer("allowed", torch.from_numpy(counts > 0), persistent=False)
        logarithms = torch.from_numpy(np.log(np.maximum(counts, 1))).float()
        self.register_buffer("log_multiplicity", logarithms, persistent=False)

    @override
    def forward(self, logits: Tensor, language: Tensor) -> Tensor:
        """Put −∞ where a language reads nothing.

        Args:
            logits: over the rows, [B, …, rows]; more rows than the vocabulary has are never read.
            language: the index of each batch row's language, int64 [B].

        Returns:
            [B, …, rows].
        """
        allowed = self._widen(self.allowed, language, logits.dim())
        more = logits.shape[-1] - allowed.shape[-1]
        return logits.masked_fill(~functional.pad(allowed, (0, more), value=False), -torch.inf)

    def price(self, rows: Tensor, language: Tensor) -> Tensor:
        """What it costs to say which of the ids that read a row is meant: log m, in nats.

        Args:
            rows: int64 [B, …].
            language: int64 [B].

        Returns:
            [B, …], to be added to the negative log-likelihoods of rows.
        """
        table = self.log_multiplicity[language]
        return table.gather(1, rows.reshape(len(rows), -1)).view(rows.shape)

    def log_probabilities(self, logits: Tensor, language: Tensor) -> Tensor:
        """The log-probability of one id that reads each row, in nats; −∞ where the language has none.

        Args:
            logits: as for `forward`.
            language: int64 [B].

        Returns:
            [B, …, rows] in float32.
        """
        found = self(logits, language).float().log_softmax(dim=-1)
        once = functional.pad(self.log_multiplicity, (0, logits.shape[-1] - self.log_multiplicity.shape[-1]))
        return found - self._widen(once, language, logits.dim())

    @staticmethod
    def _widen(table: Tensor, language: Tensor, dimensions: int) -> Tensor:
        """[languages, rows] → [B, 1, …, rows]."""
        chosen = table[language]
        return chosen.view(len(chosen), *(1,) * (dimensions - 2), chosen.shape[-1])


class MemberStep:
    """Steps of a decoding that writes the words of one language for each batch row.

    Args:
        step: logits of the next token [B, V] for ids [B, T]; see `tasks.decoding`.
        restrict: what is left of the logits.
        language: int64 [B].
    """

    def __init__(self, step: _Step, restrict: MemberLogits, language: Tensor) -> None:
        self.step = step
        self.restrict = restrict
        self.language = language

    def __call__(self, tokens: Tensor) -> Tensor:
        return self.restrict(self.step(tokens), self.language)

    def reorder(self, rows: Tensor) -> None:
        """Keep these hypotheses."""
        self.step.reorder(rows)
        self.language = self.language[rows]


def _count_ids(vocabulary: UnitedVocabulary, language: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many ids of a language read each row; its tag and the end of a text at least one."""
    rows = vocabulary.rows.rows_of(vocabulary.member_of(language))
    counts = np.bincount(rows[rows >= 0], minlength=vocabulary.size)
    for special in (vocabulary.eos_id, vocabulary.tag_id(language)):
        counts[special] = max(counts[special], 1)
    return counts
