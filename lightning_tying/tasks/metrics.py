"""How well text is predicted: negative log-likelihoods and bytes go in, bits per byte and perplexity come out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric
from typing_extensions import override


class TextLikelihood(Metric):
    """Sums of negative log-likelihood, tokens and bytes, for each language; exact over any number of processes.

    Perplexity is per token, so it compares only models of one vocabulary; bits per byte compares all.

    Args:
        languages: names for the parts; their order is that of the indices given to `update`.
    """

    full_state_update = False
    higher_is_better = False
    likelihood: Tensor
    tokens: Tensor
    bytes: Tensor

    def __init__(self, languages: Sequence[str] = ()) -> None:
        super().__init__()
        self.languages = tuple(languages)
        for name in ("likelihood", "tokens", "bytes"):
            self.add_state(  # pyright: ignore[reportUnknownMemberType]  # torchmetrics
                name, torch.zeros(max(1, len(self.languages)), dtype=torch.float64), dist_reduce_fx="sum"
            )

    @override
    def update(self, likelihood: Tensor, tokens: Tensor, sizes: Tensor, language: Tensor | None = None) -> None:
        """Add rows.

        Args:
            likelihood: the negative log-likelihood of each row, in nats, [B].
            tokens: how many tokens each row predicts, [B].
            sizes: how many bytes of UTF-8 they stand for, [B].
            language: the index of each row's language, int64 [B].
        """
        place = torch.zeros_like(tokens) if language is None or not self.languages else language
        for state, value in ((self.likelihood, likelihood), (self.tokens, tokens), (self.bytes, sizes)):
            state.index_add_(0, place.long(), value.detach().to(state.dtype))

    @override
    def compute(self) -> dict[str, float]:
        """Return `bits_per_byte` and `perplexity`, and `bits_per_byte/‹language›` for each language that was seen."""
        values = {
            "bits_per_byte": _bits_per_byte(float(self.likelihood.sum()), float(self.bytes.sum())),
            "perplexity": _perplexity(float(self.likelihood.sum()), float(self.tokens.sum())),
        }
        for place, language in enumerate(self.languages):
            if float(self.bytes[place]) > 0:
                each = _bits_per_byte(float(self.likelihood[place]), float(self.bytes[place]))
                values[f"bits_per_byte/{language}"] = each
        return values


def row_likelihood(logits: Tensor, targets: Tensor, ignored: int) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood (nats) and number of predicted tokens of each row.

    Args:
        logits: [B, T, V].
        targets: int64 [B, T].
        ignored: the target that counts as nothing, the padding's id.

    Returns:
        Two tensors [B].
    """
    losses = functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=ignored, reduction="none"
    )
    return losses.view(targets.shape).sum(dim=1), (targets != ignored).sum(dim=1)


def _bits_per_byte(nats: float, size: float) -> float:
    return nats / math.log(2) / size if size else math.nan


def _perplexity(nats: float, tokens: float) -> float:
    if not tokens:
        return math.nan
    mean = nats / tokens
    return math.exp(mean) if mean < 700 else math.inf
