"""What the uses of one shared parameter added to its gradient in; how far they agree, as plain numbers, out.

A number that is not defined (all gradients 0, a gradient that is not finite, one use without a pair) is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

CONFIDENCE = 0.95


class UseNumbers(Protocol):
    """The per-use gradients of one sharing group at one step, as numbers.

    Every reader of a shared parameter is a use, and each call of a module is one of its own.
    """

    @property
    def keys(self) -> Sequence[object]:
        """The K uses; `str` of each is its name."""
        ...

    @property
    def norms(self) -> Sequence[float]:
        """‖g_u‖ of each use."""
        ...

    @property
    def sum_norm(self) -> float:
        """‖Σ g_u‖."""
        ...

    @property
    def gram(self) -> Tensor | None:
        """Inner products of each two uses, K × K; None where they were not kept."""
        ...

    @property
    def finite(self) -> bool:
        """Whether every gradient is finite."""
        ...

    @property
    def first_nonfinite(self) -> object | None:
        """The use whose gradient was the first that is not finite."""
        ...

    @property
    def cosine_error(self) -> float:
        """Standard deviation of the error of a cosine, at most; 0 for exact ones."""
        ...

    @property
    def sum_sketch(self) -> Tensor | None:
        """Σ g_u, or a projection of it to a few numbers that is the same at each sample; None where none was taken."""
        ...

    @property
    def site_norms(self) -> Sequence[float]:
        """Norm of the gradient at each use's site, before it went through the site's expression; may be empty."""
        ...


def coherence(numbers: UseNumbers) -> float:
    """κ = ‖Σ g‖² / (K · Σ ‖g‖²): 1 where all agree, 1 / K where they are orthogonal, 0 where they cancel."""
    return coherence_of(numbers.norms, numbers.sum_norm)


def coherence_of(norms: Sequence[float], sum_norm: float) -> float:
    """κ from norms alone.

    Args:
        norms: ‖g_u‖ of each of the K uses.
        sum_norm: ‖Σ g_u‖.
    """
    largest = max(norms, default=0.0)
    if not largest > 0 or not math.isfinite(sum(norms) + sum_norm):
        return math.nan
    squares = math.fsum((norm / largest) ** 2 for norm in norms)
    kappa = (sum_norm / largest) ** 2 / (len(norms) * squares)
    return min(kappa, 1.0)  # Cauchy-Schwarz; rounding may pass it


def shares(numbers: UseNumbers) -> tuple[float, ...]:
    """‖g_u‖ / Σ ‖g_v‖ of each use: 0 to 1, 1 in all."""
    largest = max(numbers.norms, default=0.0)
    if not largest > 0 or not all(math.isfinite(norm) for norm in numbers.norms):
        return (math.nan,) * len(numbers.norms)
    total = math.fsum(norm / largest for norm in numbers.norms)
    return tuple(norm / largest / total for norm in numbers.norms)


def dominance(numbers: UseNumbers) -> float:
    """The largest share of a use: 1 / K where all weigh the same, 1 where one use is all there is."""
    return max(shares(numbers), default=math.nan)


def cosines(numbers: UseNumbers) -> Tensor | None:
    """Cosine of each two uses.

    From a sketch they are the cosines of the sketched gradients, so that two equal uses have 1 there too.

    Returns:
        K × K, float64, on the CPU: -1 to 1, NaN in the row and the column of a use whose gradient is 0 or not finite.
        None where no inner products were kept.
    """
    if numbers.gram is None:
        return None
    gram = numbers.gram.detach().to("cpu", torch.float64)
    lengths = gram.diagonal().clamp(min=0).sqrt()
    lengths = torch.where(lengths.isfinite() & (lengths > 0), lengths, math.nan)
    found = (gram / lengths[:, None] / lengths[None, :]).clamp(-1, 1)  # in two steps: a product of lengths may overflow
    return torch.where(found.isfinite(), found, math.nan)


def conflict_rate(numbers: UseNumbers) -> float:
    """Share of the pairs of uses whose cosine is below 0: 0 to 1."""
    found = cosines(numbers)
    return math.nan if found is None else conflict_of(found)


def conflict_of(found: Tensor) -> float:
    """Share of the pairs above the diagonal whose cosine is below 0; pairs without a cosine do not count.

    Args:
        found: K × K cosines.
    """
    above = torch.triu_indices(len(found), len(found), offset=1)
    pairs = found[above[0], above[1]]
    known = pairs[pairs.isfinite()]
    return float((known < 0).double().mean()) if len(known) else math.nan


def sketch_error(size: int, confidence: float = CONFIDENCE) -> float:
    """How far the inner product of two sketches may be from that of the gradients, over the product of their norms.

    The projection has random entries of mean 0 and variance 1 / size (Gaussian, signs, or one sign a column): the
    variance of an inner product is then at most 2 ‖x‖² ‖y‖² / size, and Chebyshev's inequality gives the bound. A
    cosine of more than this has the right sign with that confidence. Its standard error is at most √(2 / size).

    Args:
        size: numbers in a sketch.
        confidence: with which the bound holds for one pair, above 0 and below 1.

    Raises:
        ValueError: a size below 1, or a confidence that is none.
    """
    if size < 1 or not 0 < confidence < 1:
        raise ValueError(f"A sketch has 1 number or more, and a confidence lies between 0 and 1: {size}, {confidence}.")
    return math.sqrt(2 / (size * (1 - confidence)))


def update_to_weight(update_norm: float, weight_norm: float) -> float:
    """‖Δθ‖ / ‖θ‖: how much of its own size a parameter moves in one step; about 0.001 is usual."""
    return update_norm / weight_norm if weight_norm > 0 else math.nan
