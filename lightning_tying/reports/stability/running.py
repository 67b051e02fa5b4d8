"""One sample of a sharing group after the other in; how its gradient behaves over time out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_tying.reports.stability.measures import UseNumbers

WINDOW = 64  # samples whose median and spread a new one is compared with
FEWEST = 8  # samples before a spread means anything
NARROWEST = 0.25  # spread of log-norms: so a norm within 4 times the median is no spike, however calm it was before
NORMAL = 1.4826  # the median absolute deviation times this is the standard deviation of normal numbers


@dataclass(frozen=True)
class OverTime:
    """What one sample is against those before it.

    Args:
        spike: robust z-score of the log of ‖Σ g‖: (x - median) / (1.4826 · MAD) over the last 64 samples. NaN before
            the ninth, and where the gradient is 0 or not finite.
        snr: signal to noise of the summed gradient, ‖E g‖² / E ‖g - E g‖², from exponential means of its sketch. NaN
            without a sketch and at the first sample.
        drift: cosine of this summed gradient with the last sample's, from their sketches. NaN without.
    """

    spike: float
    snr: float
    drift: float


class RunningStability:
    """What is remembered of the samples of one sharing group: some sums, a window of log-norms, two sketches.

    Args:
        decay: of the exponential means, above 0 and below 1: 0.9 looks back about ten samples.
    """

    def __init__(self, decay: float = 0.9) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"decay lies between 0 and 1, not {decay}.")
        self.decay = decay
        self.samples = 0
        self._log_norms: list[float] = []
        self._square = 0.0  # exponential mean of ‖g‖²
        self._weights = 0.0  # sum of the squared weights of the exponential mean
        self._mean: Tensor | None = None
        self._last: Tensor | None = None

    def update(self, numbers: UseNumbers) -> OverTime:
        """Take a sample. One that is not finite is compared with those before it and not remembered.

        Args:
            numbers: of this sample; its `sum_sketch` is what signal to noise and drift are computed from.
        """
        sketch = numbers.sum_sketch
        spike = self._take_norm(numbers.sum_norm)
        if sketch is None or not numbers.finite:
            return OverTime(spike, math.nan, math.nan)
        flat = sketch.detach().to("cpu", torch.float64).flatten()
        if not bool(flat.isfinite().all()):
            return OverTime(spike, math.nan, math.nan)
        drift = _cosine(flat, self._last)
        self._take_sketch(flat)
        return OverTime(spike, self._signal_to_noise(), drift)

    def state_dict(self) -> dict[str, Any]:
        """All that is remembered, as plain numbers and tensors."""
        return {
            "decay": self.decay,
            "samples": self.samples,
            "log_norms": list(self._log_norms),
            "square": self._square,
            "weights": self._weights,
            "mean": self._mean,
            "last": self._last,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.decay = float(state["decay"])
        self.samples = int(state["samples"])
        self._log_norms = [float(each) for each in state["log_norms"]]
        self._square, self._weights = float(state["square"]), float(state["weights"])
        self._mean, self._last = state["mean"], state["last"]

    def _take_norm(self, norm: float) -> float:
        if not (norm > 0 and math.isfinite(norm)):
            return math.nan
        new = math.log(norm)
        spike = robust_z(new, self._log_norms) if len(self._log_norms) >= FEWEST else math.nan
        self._log_norms = [*self._log_norms[-(WINDOW - 1) :], new]
        return spike

    def _take_sketch(self, flat: Tensor) -> None:
        """Move the means by a weight that makes them plain means at first, exponential ones later."""
        if self._mean is None or self._mean.shape != flat.shape:
            self._mean, self.samples = torch.zeros_like(flat), 0
            self._square = self._weights = 0.0
        self.samples += 1
        weight = max(1 - self.decay, 1 / self.samples)
        self._mean = self._mean + weight * (flat - self._mean)
        self._square += weight * (float(flat.square().sum()) - self._square)
        self._weights = (1 - weight) ** 2 * self._weights + weight**2
        self._last = flat.clone()

    def _signal_to_noise(self) -> float:
        """Unbiased: the squared length of a mean holds noise too, by the sum of the mean's squared weights."""
        if self._mean is None or self._weights >= 1:
            return math.nan
        length = float(self._mean.square().sum())
        noise = max(self._square - length, 0.0) / (1 - self._weights)
        signal = max(length - self._weights * noise, 0.0)
        if noise <= 1e-12 * self._square:  # equal gradients, up to rounding
            return math.inf if signal > 0 else math.nan
        return signal / noise


def robust_z(new: float, before: list[float]) -> float:
    """How many spreads a number lies from the median of those before it.

    Args:
        new: the number.
        before: one number or more. Their spread is their median absolute deviation, made to equal the standard
            deviation of normal numbers, and 0.25 at least.
    """
    middle = statistics.median(before)
    spread = NORMAL * statistics.median(abs(each - middle) for each in before)
    return (new - middle) / max(spread, NARROWEST)


def _cosine(one: Tensor, other: Tensor | None) -> float:
    if other is None or other.shape != one.shape:
        return math.nan
    lengths = [math.sqrt(float(each.square().sum())) for each in (one, other)]
    return max(-1.0, min(1.0, float((one / lengths[0]) @ (other / lengths[1])))) if min(lengths) > 0 else math.nan
