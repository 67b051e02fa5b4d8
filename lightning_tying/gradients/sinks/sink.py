"""What a sink of per-use gradients is: it takes them one by one while a backward pass runs, and ends in statistics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from torch import Tensor

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.statistics import UseStatistics


class Sink(ABC):
    """Takes the per-use gradients of a sampled step."""

    @abstractmethod
    def begin(self, keys: Iterable[UseKey]) -> None:
        """A backward pass begins that will go through these uses, in the order of the forward pass."""

    @abstractmethod
    def add(self, key: UseKey, gradient: Tensor) -> None:
        """What one use adds to the gradient in this backward pass; not to be written to, nor to be kept as it is."""

    @abstractmethod
    def add_sum(self, group: ParameterName, gradient: Tensor) -> None:
        """What all uses together add in this backward pass, as autograd has summed it."""

    def add_site(self, key: UseKey, gradient: Tensor) -> None:
        """For a derived use the gradient at the site, before it goes through the expression; for sinks that want it."""
        del key, gradient

    @abstractmethod
    def finish(self, scale: float = 1.0) -> dict[ParameterName, UseStatistics]:
        """The numbers of all groups, with the uses in the order of the forward pass.

        Where there are several processes every one of them must call it: it is a collective.

        Args:
            scale: by which the loss was multiplied (`GradScaler.get_scale()`); the numbers are without it.
        """
