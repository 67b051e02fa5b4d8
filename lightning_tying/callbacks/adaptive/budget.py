"""The size of a model and what an edit would add in; whether that is allowed out."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from lightning_tying.callbacks.adaptive.policy import Policy, require_whole
from lightning_tying.callbacks.adaptive.view import Proposal, View
from lightning_tying.errors import ConfigError


class Budget(Policy):
    """Keeps the model at N parameters or fewer: splits of other policies that need more are made smaller or refused.

    Args:
        parameters: N, counted once each, trained and frozen ones.

    Raises:
        ConfigError: it is no whole number above 0.
    """

    repeats = False

    def __init__(self, parameters: int) -> None:
        self.parameters = require_whole("Budget", "parameters", parameters, 1)

    @property
    @override
    def label(self) -> str:
        return f"Budget({self.parameters})"

    @override
    def check(self, view: View) -> None:
        if view.parameters > self.parameters:
            raise ConfigError(
                f"Budget: {self.parameters} parameters cannot be met: the model begins with {view.parameters}. Share "
                "more in the spec, or raise the budget."
            )

    @override
    def is_due(self, step: int, total_steps: float, asked: int) -> bool:
        return False

    @override
    def propose(self, view: View) -> Sequence[Proposal]:
        return []


def fit_parts(size: int, parts: int, room: int) -> int:
    """How many of the parts of a split there is room for.

    Args:
        size: of the parameter.
        parts: that were asked for; each but one needs a copy.
        room: parameters that may be added.
    """
    return min(parts, 1 + max(0, room) // max(1, size))
