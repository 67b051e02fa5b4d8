"""The losses of members go in; the one that is trained comes out: a weighted sum, its weights fixed or learned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, Union

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_tying.errors import ConfigError
from lightning_tying.spec.nearest import suggest

Weights: TypeAlias = Union[dict[str, float], Literal["uncertainty"]]


class FixedWeights(nn.Module):
    """Σ wₘ · lossₘ over the members that have a loss in this step.

    Args:
        weights: of each member.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.weights = dict(weights)

    @override
    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Losses of members, scalars, in; a scalar out."""
        return _add([self.weights[name] * loss for name, loss in losses.items()])

    def current(self) -> dict[str, float]:
        """The weights; none that are worth a log."""
        return {}


class UncertaintyWeights(nn.Module):
    """Σ exp(−sₘ) · lossₘ + sₘ / 2, sₘ = log σₘ² learned (Kendall et al. 2018, equation 10 and section 3.2).

    A member whose loss stays large gets a smaller weight: at the optimum of sₘ it is 1 / (2 · lossₘ). For a squared
    error the paper has a half before the loss, which scales the weight alone.

    Args:
        members: the names.
    """

    def __init__(self, members: Sequence[str]) -> None:
        super().__init__()
        self.log_variances = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in members})

    @override
    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Losses of members, scalars, in; a scalar out."""
        return _add([self._weigh(self.log_variances[name], loss) for name, loss in losses.items()])

    def current(self) -> dict[str, float]:
        """The weight exp(−s) of each member as it is now."""
        return {name: float(torch.exp(-each.detach())) for name, each in self.log_variances.items()}

    def _weigh(self, log_variance: Tensor, loss: Tensor) -> Tensor:
        return torch.exp(-log_variance) * loss + log_variance / 2


def make_loss_weights(weights: Weights | None, members: Sequence[str]) -> FixedWeights | UncertaintyWeights:
    """What makes one loss of many.

    Args:
        weights: a number for each member, 1 for those that are not named; `uncertainty`; None for the plain sum.
        members: the names.

    Raises:
        ConfigError: a weight is of no member, or is no number from 0 up.
    """
    if weights == "uncertainty":
        return UncertaintyWeights(members)
    if weights is not None and not isinstance(weights, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise ConfigError(f"JointTraining: `weights` is a number for each member, or `uncertainty`, not {weights!r}.")
    given = weights or {}
    for name, weight in given.items():
        if name not in members:
            raise ConfigError(
                f"JointTraining: `weights` has `{name}`, which is no member.{suggest(name, list(members))} "
                f"Members: {', '.join(members)}."
            )
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise ConfigError(f"JointTraining: the weight of `{name}` is {weight!r}; it is a number from 0 up.")
    chosen = {name: float(given.get(name, 1.0)) for name in members}
    if not any(chosen.values()):
        raise ConfigError("JointTraining: all weights are 0, so nothing would be trained.")
    return FixedWeights(chosen)


def _add(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term.to(total.device)
    return total
