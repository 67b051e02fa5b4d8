"""An average over processes that train apart, at work: parameters go in, each round mixes them over all processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, distributed, nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_tying.callbacks.sync.entry import Entry
from lightning_tying.callbacks.sync.samples import count_samples
from lightning_tying.callbacks.sync.traffic import Traffic
from lightning_tying.errors import ConfigError
from lightning_tying.gradients.sinks.processes import has_processes
from lightning_tying.lowering.sync.average import Rows, make_rows
from lightning_tying.lowering.sync.moments import find_states, list_moments
from lightning_tying.parallel.local_sgd import agree_on_keys, gather_numbers, mix_over_ranks
from lightning_tying.spec.nodes import Sync


class RankAverage(Entry):
    """Mixes the values of each parameter over the processes of a run.

    Args:
        sync: what was written.
        parameters: by name, the same on all processes.
        traffic: where the bytes are counted.

    Raises:
        ConfigError: there is not one weight for each process.
    """

    def __init__(self, sync: Sync, parameters: Mapping[str, nn.Parameter], traffic: Traffic) -> None:
        super().__init__(sync)
        self.parameters, self.traffic = dict(parameters), traffic
        self.samples = 0
        self.ranks = tuple(str(rank) for rank in range(distributed.get_world_size() if has_processes() else 1))
        weights = sync.weights
        named = tuple(weights) if isinstance(weights, Mapping) else self.ranks
        known = len(self.ranks) if isinstance(weights, str) else len(weights)
        if self.ranks != ("0",) and (known != len(self.ranks) or set(named) != set(self.ranks)):
            raise ConfigError(
                f"{sync.location}: `weights` has {known} entries, and the run has {len(self.ranks)} processes. Give "
                "each of them one, in the order of their ranks (0, 1, …)."
            )

    @override
    def see(self, batch: object) -> None:
        if self.sync.weights == "samples":
            self.samples += count_samples(batch)

    @override
    def round(self, optimizers: Sequence[Optimizer]) -> None:
        if len(self.ranks) > 1:
            samples = gather_numbers(self.samples) if self.sync.weights == "samples" else ()
            self._mix(make_rows(self.sync.weights, self.ranks, self.ranks, samples), optimizers)
        self.samples = 0

    @override
    def finish(self, optimizers: Sequence[Optimizer]) -> None:
        """Leave one model: a last round for what was trained since, and for what gossip has not made equal yet."""
        if len(self.ranks) > 1 and self._is_matrix():
            self._mix(make_rows("uniform", self.ranks, self.ranks, ()), optimizers)
        elif self.since:
            self.round(optimizers)
        self.since = 0

    def _is_matrix(self) -> bool:
        return isinstance(self.sync.weights, tuple) and isinstance(self.sync.weights[0], tuple)

    def _mix(self, rows: Rows, optimizers: Sequence[Optimizer]) -> None:
        tensors: list[Tensor] = [parameter.detach() for parameter in self.parameters.values()]
        if self.sync.moments == "average":
            tensors += self._find_moments(optimizers)
        self.traffic.add_round(mix_over_ranks(tensors, rows))
        self._reset(optimizers, self.parameters.values())

    def _find_moments(self, optimizers: Sequence[Optimizer]) -> list[Tensor]:
        """The tensors of the optimizers' states that all processes have, in one order."""
        found: dict[tuple[str, str, tuple[int, ...]], Tensor] = {}
        for name, parameter in self.parameters.items():
            for number, state in enumerate(find_states(optimizers, parameter)):
                for key in list_moments([state]):
                    found[name, f"{number}.{key}", tuple(state[key].shape)] = state[key]
        return [found[each] for each in agree_on_keys(list(found))]

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "samples": self.samples}

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.samples = int(state["samples"])
