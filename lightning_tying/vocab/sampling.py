"""Temperature sampling: the sizes of the languages go in, their shares and expected counts come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lightning_tying.errors import ConfigError


@dataclass(frozen=True)  # not final: jsonargparse reads no defaults of final classes
class Sampling:
    """How often each language is drawn: ``q_l ∝ n_l ** alpha``, where ``n_l`` is the size of language ``l``.

    The rule of XLM (Lample & Conneau 2019, section 3.1); XLM-R and mT5 use 0.3. It serves the training of a
    vocabulary and the composition of batches alike.

    Args:
        alpha: from 0 (every language the same share) to 1 (in proportion to its size).

    Raises:
        ConfigError: `alpha` is not between 0 and 1.
    """

    alpha: float = 0.3

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise ConfigError(
                f"sampling.alpha is {self.alpha}; it must lie between 0 (all languages alike) and 1 (by their sizes)."
            )

    def probabilities(self, sizes: Mapping[str, int]) -> dict[str, float]:
        """The share of each language; a language of size 0 gets 0.

        Args:
            sizes: how much there is of each language, in any unit.

        Raises:
            ConfigError: no language has anything, or a size is negative.
        """
        if any(size < 0 for size in sizes.values()):
            raise ConfigError(f"sampling: sizes cannot be negative, and these are: {dict(sizes)}.")
        weights = {name: float(size) ** self.alpha if size else 0.0 for name, size in sizes.items()}
        total = sum(weights.values())
        if not total:
            raise ConfigError("sampling: no language has any text, so there is nothing to draw from.")
        return {name: weight / total for name, weight in weights.items()}

    def counts(self, sizes: Mapping[str, int], total: int) -> dict[str, int]:
        """The expected counts of `total` draws as whole numbers that sum to `total` (largest remainders first).

        Args:
            sizes: how much there is of each language.
            total: how many are drawn in all.

        Raises:
            ConfigError: no language has anything, or a size is negative.
        """
        wanted = {name: share * total for name, share in self.probabilities(sizes).items()}
        counts = {name: int(count) for name, count in wanted.items()}
        missing = total - sum(counts.values())
        by_remainder = sorted(wanted, key=lambda name: counts[name] - wanted[name])  # stable: ties keep the given order
        for name in by_remainder[:missing]:
            counts[name] += 1
        return counts
