"""Sampling between languages: the sizes of the languages go in, their shares and expected counts come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from lightning_tying.errors import ConfigError

Policy: TypeAlias = Literal["temperature", "proportional", "uniform", "unimax", "weights"]
POLICIES: tuple[str, ...] = get_args(Policy)


@dataclass(frozen=True)  # not final: jsonargparse reads no defaults of final classes
class Sampling:
    """How often each language is drawn; it serves the training of a vocabulary and the composition of batches alike.

    With ``n_l`` the size of language ``l``:
        temperature: ``q_l ∝ n_l ** alpha`` (Lample & Conneau 2019, section 3.1; XLM-R and mT5 use 0.3).
        proportional: ``q_l ∝ n_l``. uniform: every language alike.
        unimax: every language alike, but none more than `max_epochs` times over; what the small ones leave goes to
            the larger (Chung et al. 2023, algorithm 1).
        weights: ``q_l ∝ weights[l]``.

    Args:
        alpha: of "temperature", from 0 (every language the same share) to 1 (in proportion to its size).
        policy: the rule.
        max_epochs: of "unimax": how often the text of a language is repeated at most.
        weights: of "weights": a number for each language.

    Raises:
        ConfigError: a value is out of range or the policy is unknown.
    """

    alpha: float = 0.3
    policy: Policy = "temperature"
    max_epochs: float = 4.0
    weights: dict[str, float] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        problems = [problem for check in _CHECKS if (problem := check(self))]
        if problems:
            raise ConfigError("\n".join(problems))

    def probabilities(self, sizes: Mapping[str, int], total: int | None = None) -> dict[str, float]:
        """The share of each language; a language of size 0 gets 0.

        Args:
            sizes: how much there is of each language, in any unit.
            total: how much is drawn in all, which only "unimax" needs to know; None for as much as there is.

        Raises:
            ConfigError: no language has anything, a size is negative, or the weights are those of other languages.
        """
        if any(size < 0 for size in sizes.values()):
            raise ConfigError(f"sampling: sizes cannot be negative, and these are: {dict(sizes)}.")
        wanted = self._weigh(sizes, sum(sizes.values()) if total is None else total)
        whole = sum(wanted.values())
        if not whole:
            raise ConfigError("sampling: no language has any text, so there is nothing to draw from.")
        return {name: weight / whole for name, weight in wanted.items()}

    def counts(self, sizes: Mapping[str, int], total: int) -> dict[str, int]:
        """The expected counts of `total` draws as whole numbers that sum to `total` (largest remainders first).

        Args:
            sizes: how much there is of each language.
            total: how many are drawn in all.

        Raises:
            ConfigError: no language has anything, a size is negative, or the weights are those of other languages.
        """
        wanted = {name: share * total for name, share in self.probabilities(sizes, total).items()}
        counts = {name: int(count) for name, count in wanted.items()}
        missing = total - sum(counts.values())
        by_remainder = sorted(wanted, key=lambda name: counts[name] - wanted[name])  # stable: ties keep the given order
        for name in by_remainder[:missing]:
            counts[name] += 1
        return counts

    def _weigh(self, sizes: Mapping[str, int], total: int) -> dict[str, float]:
        if self.policy == "unimax":
            return _unimax(sizes, total, self.max_epochs)
        if self.policy == "weights":
            given = _check_names(self.weights or {}, sizes)
            return {name: given[name] if size else 0.0 for name, size in sizes.items()}
        alpha = {"uniform": 0.0, "proportional": 1.0}.get(self.policy, self.alpha)
        return {name: float(size) ** alpha if size else 0.0 for name, size in sizes.items()}


def _unimax(sizes: Mapping[str, int], total: int, max_epochs: float) -> dict[str, float]:
    """The budget of each language: the smallest first, each the same part of what is left, up to its cap."""
    budgets = dict.fromkeys(sizes, 0.0)
    left = float(total) or 1.0  # shares of nothing are those of the first draw
    ordered = sorted((name for name, size in sizes.items() if size), key=lambda name: sizes[name])
    for place, name in enumerate(ordered):
        budgets[name] = min(left / (len(ordered) - place), max_epochs * sizes[name])
        left -= budgets[name]
    return budgets


def _check_names(weights: Mapping[str, float], sizes: Mapping[str, int]) -> Mapping[str, float]:
    missing = [name for name in sizes if name not in weights]
    foreign = [name for name in weights if name not in sizes]
    if missing or foreign:
        wrong = [f"none for {', '.join(missing)}"] * bool(missing) + [f"one for {', '.join(foreign)}"] * bool(foreign)
        raise ConfigError(f"sampling.weights: every language needs one weight; there is {' and '.join(wrong)}.")
    return weights


def _check_alpha(sampling: Sampling) -> str | None:
    if 0.0 <= sampling.alpha <= 1.0:
        return None
    return f"sampling.alpha is {sampling.alpha}; it must lie between 0 (all languages alike) and 1 (by their sizes)."


def _check_policy(sampling: Sampling) -> str | None:
    if sampling.policy in POLICIES:
        return None
    return f"sampling.policy is {sampling.policy!r}; it must be one of {', '.join(POLICIES)}."


def _check_epochs(sampling: Sampling) -> str | None:
    if 0.0 < sampling.max_epochs < float("inf"):
        return None
    return f"sampling.max_epochs is {sampling.max_epochs}; it must be a number above 0."


def _check_weights(sampling: Sampling) -> str | None:
    if (sampling.policy == "weights") != (sampling.weights is not None):
        return "sampling.weights and sampling.policy: weights belong together; give both or neither."
    if sampling.weights is None:
        return None
    bad = [name for name, weight in sampling.weights.items() if not 0.0 <= weight < float("inf")]
    if bad:
        return f"sampling.weights: a weight is a number from 0, and {', '.join(bad)} has another."
    return None if any(sampling.weights.values()) else "sampling.weights: one weight at least must be above 0."


_CHECKS: tuple[Callable[[Sampling], str | None], ...] = (_check_alpha, _check_policy, _check_epochs, _check_weights)
