"""What all kinds of sync have in common: parameters that change when a round comes, and what is kept between rounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from lightning_tying.errors import ConfigError
from lightning_tying.lowering.sync.moments import reset_moments
from lightning_tying.spec.nodes import Sync


class Entry(ABC):
    """One entry of `sync`, at work on one module.

    Args:
        sync: what was written.
    """

    def __init__(self, sync: Sync) -> None:
        self.sync = sync
        self.since = 0  # optimizer steps since the last round

    @abstractmethod
    def round(self, optimizers: Sequence[Optimizer]) -> None:
        """Change the values, and the optimizers' states as `moments` says."""

    def start(self) -> None:  # noqa: B027  # most kinds do nothing here
        """Training begins: take the copies that are not there from a checkpoint."""

    def see(self, batch: object) -> None:  # noqa: B027  # most kinds do nothing here
        """A batch has been trained on."""

    def finish(self, optimizers: Sequence[Optimizer]) -> None:  # noqa: B027  # most kinds do nothing here
        """Training ends."""

    def swap(self) -> None:  # noqa: B027  # most kinds do nothing here
        """An evaluation begins or ends: put the values in that it is to see, or back."""

    def step(self, optimizers: Sequence[Optimizer], *, epoch_ends: bool) -> bool:
        """An optimizer step has been made, or an epoch ends without one; whether that made a round."""
        due = epoch_ends if self.sync.every == "epoch" else self.since == self.sync.every
        if due and self.since:
            self.round(optimizers)
            self.since = 0
            return True
        return False

    def follow_edit(self, old: Entry, *, joins_mean: bool) -> None:  # noqa: ARG002  # for those that keep copies
        """Go on where the entry stood before sharing groups were split or joined.

        Args:
            old: the same entry over the parameters of before.
            joins_mean: whether what was joined has the mean of the values.
        """
        kept = old.state_dict()
        self.load_state_dict({key: {} if key == "kept" else value for key, value in kept.items()})

    def state_dict(self) -> dict[str, Any]:
        """What the next round needs, as plain content."""
        return {"since": self.since}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.since = int(state["since"])

    def _reset(self, optimizers: Sequence[Optimizer], parameters: Iterable[nn.Parameter]) -> None:
        if self.sync.moments == "reset":
            for parameter in parameters:
                reset_moments(optimizers, parameter)


def load_entries(entries: Sequence[Entry], states: Sequence[Mapping[str, Any]]) -> None:
    """Let every entry go on where a checkpoint has it.

    Raises:
        ConfigError: the checkpoint is of another number of them.
    """
    if len(states) != len(entries):
        raise ConfigError(
            f"The checkpoint has {len(states)} syncs with rounds, and this run has {len(entries)}. Resume with the "
            "`sync` of the run that was saved, or start from its weights with --init_from."
        )
    for entry, state in zip(entries, states, strict=True):
        entry.load_state_dict(state)
