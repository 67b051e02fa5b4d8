"""The syncs that keep values beside the weights, or follow others, at work: `ema` and `lookahead`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_tying.callbacks.sync.entry import Entry
from lightning_tying.lowering.sync.ema import follow
from lightning_tying.lowering.sync.lookahead import look_ahead
from lightning_tying.spec.nodes import Sync


class Follow(Entry):
    """`ema` with `from`: parameters follow others.

    Args:
        sync: what was written.
        pairs: what follows, and what it follows.
    """

    def __init__(self, sync: Sync, pairs: Sequence[tuple[nn.Parameter, nn.Parameter]]) -> None:
        super().__init__(sync)
        self.pairs = tuple(pairs)

    @override
    def round(self, optimizers: Sequence[Optimizer]) -> None:
        with torch.no_grad():
            made = [follow(target, source, self.sync.decay) for target, source in self.pairs]
            for (target, _), value in zip(self.pairs, made, strict=True):
                target.copy_(value)
        self._reset(optimizers, (target for target, _ in self.pairs))


class _Keeping(Entry):
    """Keeps a copy of each parameter.

    Args:
        sync: what was written.
        reads: parameters under all the names of those that read them; the first is the one that a copy is kept under.
    """

    def __init__(self, sync: Sync, reads: Sequence[tuple[str, nn.Parameter]]) -> None:
        super().__init__(sync)
        first: dict[int, str] = {}
        self.names = {name: first.setdefault(id(parameter), name) for name, parameter in reads}
        self.parameters = {name: parameter for name, parameter in reads if self.names[name] == name}
        self.kept: dict[str, Tensor] = {}

    @override
    def follow_edit(self, old: Entry, *, joins_mean: bool) -> None:
        """Of what is split, each part has the copy; of what is joined, the mean where the values are the mean."""
        super().follow_edit(old, joins_mean=joins_mean)
        if not isinstance(old, _Keeping):
            return
        for name in self.parameters:
            readers = [each for each, first in self.names.items() if first == name]
            found = [old.kept[old.names[each]] for each in readers if old.names.get(each) in old.kept]
            alike = len({old.names.get(each) for each in readers}) == 1
            if len(found) == len(readers) and (alike or joins_mean):
                self.kept[name] = found[0].clone() if alike else torch.stack(found).mean(0)

    @override
    def start(self) -> None:
        for name, parameter in self.parameters.items():
            known = self.kept.get(name, parameter)
            self.kept[name] = known.detach().clone().to(parameter.device)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "kept": dict(self.kept)}

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.kept = dict(state["kept"])


class Shadow(_Keeping):
    """`ema` without `from`: the average stands beside the weights, and evaluations see it in their place."""

    @override
    def round(self, optimizers: Sequence[Optimizer]) -> None:
        with torch.no_grad():
            self.kept = {
                name: follow(self.kept[name], parameter, self.sync.decay) for name, parameter in self.parameters.items()
            }

    @override
    def swap(self) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items() if self.kept else ():
                before = parameter.detach().clone()
                parameter.copy_(self.kept[name])
                self.kept[name] = before


class Lookahead(_Keeping):
    """`lookahead`: the slow weights are kept; a round moves them, and the fast ones become them."""

    @override
    def round(self, optimizers: Sequence[Optimizer]) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(look_ahead(self.kept[name], parameter, self.sync.rate))
                self.kept[name] = parameter.detach().clone()
        self._reset(optimizers, self.parameters.values())
