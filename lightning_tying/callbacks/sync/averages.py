"""An average between members of one module, at work: parameters in sets go in, each round mixes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_tying.callbacks.sync.entry import Entry
from lightning_tying.callbacks.sync.samples import count_members
from lightning_tying.gradients.sinks.processes import has_processes
from lightning_tying.lowering.sync.average import Rows, make_rows, mix
from lightning_tying.lowering.sync.moments import average_moments, find_states
from lightning_tying.parallel.local_sgd import gather_numbers
from lightning_tying.spec.nodes import Sync

Set = Mapping[str, nn.Parameter]


class MemberAverage(Entry):
    """Mixes the values of the members of each set.

    Args:
        sync: what was written.
        members: all of them, in model order.
        sets: by member, the parameter that it has in a set.
    """

    def __init__(self, sync: Sync, members: Sequence[str], sets: Sequence[Set]) -> None:
        super().__init__(sync)
        self.members, self.sets = tuple(members), tuple(sets)
        self.samples = dict.fromkeys(self.members, 0)

    @override
    def see(self, batch: object) -> None:
        if self.sync.weights == "samples":
            for member, count in count_members(batch, self.members).items():
                self.samples[member] += count

    @override
    def round(self, optimizers: Sequence[Optimizer]) -> None:
        samples = self._add_processes()
        for each in self.sets:
            self._mix(each, make_rows(self.sync.weights, self.members, tuple(each), samples), optimizers)
        self.samples = dict.fromkeys(self.members, 0)

    def _mix(self, each: Set, rows: Rows, optimizers: Sequence[Optimizer]) -> None:
        parameters = list(each.values())
        with torch.no_grad():
            for parameter, value in zip(parameters, mix(parameters, rows), strict=True):
                parameter.copy_(value)
            if self.sync.moments == "average":
                states = [state for parameter in parameters for state in find_states(optimizers, parameter)]
                if len(states) == len(parameters):
                    average_moments(states, rows)
        self._reset(optimizers, parameters)

    def _add_processes(self) -> list[float]:
        """The samples of each member, those of all processes together."""
        mine = [float(self.samples[member]) for member in self.members]
        if self.sync.weights != "samples" or not has_processes():
            return mine
        return [sum(gather_numbers(count)) for count in mine]

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "samples": dict(self.samples)}

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.samples = {member: int(state["samples"][member]) for member in self.members}
