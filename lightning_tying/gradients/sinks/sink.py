"""What a sink of per-use gradients is: it takes them one by one while a backward pass runs, and ends in statistics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Protocol

from torch import Tensor, distributed

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.statistics import UseStatistics


class Receiver(Protocol):
    """Takes per-use gradients; all that `catch_uses` asks for."""

    def add(self, key: UseKey, gradient: Tensor, /) -> None:
        """What one use adds to the gradient in this backward pass; not to be written to, nor to be kept as it is."""
        ...


class Sink(ABC):
    """Takes the per-use gradients of a sampled step, and makes numbers of them.

    Args:
        distributed: whether `finish` brings the processes together, where there are several.
    """

    def __init__(self, distributed: bool = True) -> None:
        self._distributed = distributed
        self._order: dict[ParameterName, dict[UseKey, None]] = {}

    def begin(self, keys: Iterable[UseKey]) -> None:
        """A backward pass begins that will go through these uses, in the order of the forward pass."""
        for key in keys:
            self._order.setdefault(key.group, {})[key] = None

    @abstractmethod
    def add(self, key: UseKey, gradient: Tensor, /) -> None:
        """What one use adds to the gradient in this backward pass."""

    def add_sum(self, group: ParameterName, gradient: Tensor, /) -> None:
        """What all uses together add in this backward pass, as autograd has summed it; for sinks that want it."""

    @abstractmethod
    def finish(self, scale: float = 1.0) -> dict[ParameterName, UseStatistics]:
        """The numbers of all groups.

        Where there are several processes every one of them must call it: it is a collective.

        Args:
            scale: by which the loss was multiplied (`GradScaler.get_scale()`); the numbers are without it.
        """

    @property
    def spans_processes(self) -> bool:
        """Whether there are other processes to be asked."""
        if not (self._distributed and distributed.is_available() and distributed.is_initialized()):
            return False
        return distributed.get_world_size() > 1

    def _agree_on_uses(self) -> Mapping[ParameterName, tuple[UseKey, ...]]:
        """The uses of all processes, in the order of the first that had them: a module may be left out on one."""
        mine = {group: tuple(keys) for group, keys in self._order.items()}
        if not self.spans_processes:
            return mine
        gathered: list[dict[ParameterName, tuple[UseKey, ...]]] = [{} for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(gathered, mine)
        groups = dict.fromkeys(group for each in gathered for group in each)
        return {group: tuple(dict.fromkeys(key for each in gathered for key in each.get(group, ()))) for group in groups}

    def _average(self, tensor: Tensor) -> Tensor:
        """The mean over all processes, in place; gradients are averaged in the same way by DDP and FSDP2."""
        if self.spans_processes:
            distributed.all_reduce(tensor)
            tensor /= distributed.get_world_size()
        return tensor
