"""The loaders of several members go in; steps come out: a batch of every member, or of one that is drawn."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, final

import numpy as np
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import DataLoader
from typing_extensions import override

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling

_DRAW = 3  # keeps these random numbers apart from those of the members' orders

Step = tuple[dict[str, Any], int, int]
"""As CombinedLoader has it: the batches, the number of the step, and 0."""


@final
class MemberStream:
    """A loader of which Lightning sees neither sampler nor position: passes and positions are the joint loader's.

    Args:
        loader: any iterable of batches.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)

    def __len__(self) -> int:
        length = getattr(self.loader, "__len__", None)
        if length is None:
            raise TypeError("this loader has no length")
        return int(length())


class JointLoader(CombinedLoader):
    """Epochs of steps over endless members: where a member has ended it begins again, in the middle of an epoch too.

    Without `sampling` a step has a batch of every member (CombinedLoader's `max_size_cycle`, but a member that is
    shorter goes on in the next epoch where it stopped). With it a step has the batch of one member; which one depends
    on the seed and the epoch's number alone, so it is the same on all processes and after a resume.

    Args:
        loaders: of the members.
        sampling: the shares of the members, by the number of their batches; None for all of them in each step.
        steps: of an epoch; None for the batches of the longest member, with `sampling` for those of all together.
        seed: of the draws.
        limit: the trainer's `limit_train_batches`: a number of steps, or a part of them.

    Raises:
        ConfigError: a member has no batch, or no length where one is needed, or the shares are of other members.
    """

    def __init__(
        self,
        loaders: Mapping[str, Iterable[Any]],
        sampling: Sampling | None = None,
        steps: int | None = None,
        *,
        seed: int = 0,
        limit: float | int | None = None,
    ) -> None:
        streams: dict[str, Any] = {
            name: each if isinstance(each, DataLoader) else MemberStream(each) for name, each in loaders.items()
        }
        super().__init__(streams, "max_size_cycle")
        sizes = {name: find_length(each) for name, each in streams.items()}
        self._names = list(streams)
        self._shares = None if sampling is None else find_shares(sampling, sizes)
        self._seed = seed
        self.steps = limit_steps(count_steps(sizes, steps, together=sampling is None), limit)
        self.epoch, self.step = 0, 0
        self._resumed = False
        self._members: dict[str, Iterator[Any]] = {}
        self._passing: Iterator[Step] | None = None

    @override
    def __iter__(self) -> Self:
        self._passing = self._pass()
        return self

    @override
    def __next__(self) -> Step:
        if self._passing is None:
            raise StopIteration
        return next(self._passing)

    @override
    def __len__(self) -> int:
        return self.steps

    @override
    def reset(self) -> None:
        """Forget the iterators of the members, and what worker processes they have."""
        super().reset()
        self._passing, self._members = None, {}

    def position(self) -> dict[str, int]:
        """The epoch, and the steps that were taken from it."""
        return {"epoch": self.epoch, "step": self.step}

    def go_on(self, position: Mapping[str, int]) -> None:
        """Let the next pass begin where `position` was taken."""
        self.epoch, self.step = int(position["epoch"]), int(position["step"])
        self._resumed = True

    def draws(self, epoch: int) -> list[str]:
        """The member of each step of an epoch, where members are drawn."""
        if self._shares is None:
            return []
        generator = np.random.default_rng([self._seed, _DRAW, epoch])
        places = generator.choice(len(self._names), size=self.steps, p=[self._shares[name] for name in self._names])
        return [self._names[place] for place in places]

    def _pass(self) -> Iterator[Step]:
        """One epoch, or what is left of it; nothing happens before its first step is asked for."""
        if self.step and (self.step >= self.steps or not self._resumed):
            self.epoch, self.step = self.epoch + 1, 0
        self._resumed = False
        drawn = self.draws(self.epoch)
        while self.step < self.steps:
            place = self.step
            names = [drawn[place]] if drawn else self._names
            batches = {name: self._take(name) for name in names}
            self.step += 1  # before the yield: a checkpoint of this step goes on behind it
            yield batches, place, 0

    def _take(self, name: str) -> Any:
        for _ in range(2):
            if name not in self._members:
                self._members[name] = iter(self.iterables[name])
            try:
                return next(self._members[name])
            except StopIteration:
                del self._members[name]
        raise ConfigError(f"The training data of the member `{name}` have no batch.")


def find_length(loader: Any) -> int | None:
    """Batches of a loader; None where it does not know."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None


def count_steps(sizes: Mapping[str, int | None], steps: int | None, *, together: bool) -> int:
    """Steps of an epoch.

    Args:
        sizes: the batches of each member.
        steps: what the user said.
        together: whether a step has all members.

    Raises:
        ConfigError: a member has no batch, or nobody knows how many.
    """
    for name, size in sizes.items():
        if size == 0:
            raise ConfigError(f"The training data of the member `{name}` have no batch. Lower its batch_size.")
        if size is None and steps is None:
            raise ConfigError(f"The data of the member `{name}` have no length. Say `steps`, of an epoch.")
    if steps is not None:
        return steps
    known = [size for size in sizes.values() if size is not None]
    return max(known) if together else sum(known)


def find_shares(sampling: Sampling, sizes: Mapping[str, int | None]) -> dict[str, float]:
    """How often each member is drawn.

    Raises:
        ConfigError: the weights are of other members, or a size is needed that is not known.
    """
    if sampling.weights is not None and sampling.weights.keys() != sizes.keys():
        raise ConfigError(
            f"data.sampling has weights of {', '.join(sampling.weights)}, and the members are {', '.join(sizes)}. "
            "Give each member one."
        )
    if sampling.policy not in ("weights", "uniform") and None in sizes.values():
        nameless = next(name for name, size in sizes.items() if size is None)
        raise ConfigError(f"data.sampling goes by size, and the data of `{nameless}` have no length. Write weights.")
    return sampling.probabilities({name: 1 if size is None else size for name, size in sizes.items()})


def limit_steps(steps: int, limit: float | int | None) -> int:
    """What the trainer's `limit_train_batches` leaves of an epoch."""
    if limit is None:
        return steps
    return int(steps * limit) if isinstance(limit, float) else min(steps, limit)
