"""What all policies have: when they are asked, what they need, what they may want."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

from lightning_tying.callbacks.adaptive.view import Proposal, View
from lightning_tying.errors import ConfigError

LEAST_STEPS = 10  # between two decisions of a policy that decides more than once


class Policy(ABC):
    """Decides about sharing by what was measured; the same for the same view, on every process.

    A subclass gives its options to `__init__`, keeps them, and says in `propose` what it wants. It remembers nothing:
    what was decided before is in the view.

    Attributes:
        every_n_steps: how often it is asked, in optimizer steps.
        samples: how many samples of per-use gradients it needs, one in each `every_n_steps`; 0 for none.
        needs_validation: whether it needs validation data.
        groups: names in which `*` is any text, of the groups that it is about; None for all.
        repeats: whether it may decide more than once.
    """

    every_n_steps: int = LEAST_STEPS
    samples: int = 0
    needs_validation: bool = False
    groups: list[str] | None = None
    repeats: bool = True

    @property
    def label(self) -> str:
        """Tells it from other policies in the log."""
        return type(self).__name__

    def check_pause(self) -> None:
        """Refuse a policy that could edit at every step.

        Raises:
            ConfigError: it could.
        """
        steps = self.every_n_steps * max(1, self.samples)
        if self.repeats and steps < LEAST_STEPS:
            raise ConfigError(
                f"{self.label} could edit the sharing every {steps} step{'s' * (steps > 1)}, before the edit before "
                f"it has shown any effect. Let every_n_steps times samples be {LEAST_STEPS} or more."
            )

    def check(self, view: View) -> None:
        """Refuse a run, before it begins, in which the policy could never do what it is there for.

        Args:
            view: of the run as it begins.

        Raises:
            ConfigError: saying what to change.
        """
        del view

    def is_due(self, step: int, total_steps: float, asked: int) -> bool:
        """Whether it is to be asked now.

        Args:
            step: optimizer steps so far.
            total_steps: of the whole run.
            asked: the step at which it was asked last; 0 for never.
        """
        del total_steps
        return step - asked >= self.every_n_steps

    @abstractmethod
    def propose(self, view: View) -> Sequence[Proposal]:
        """What it wants now, what matters most first.

        Args:
            view: of the run.
        """

    def shrink(self, proposal: Proposal, view: View, parts: int) -> Proposal | None:
        """The same split with fewer parts, for which there is room; None where it makes no sense with fewer.

        Args:
            proposal: of this policy.
            view: by which it was made.
            parts: at most, 2 or more.
        """
        del proposal, view, parts
        return None


def require_whole(who: str, name: str, value: Any, least: int) -> int:
    """A whole number.

    Raises:
        ConfigError: it is none, or too small.
    """
    if type(value) is not int or value < least:  # True is an int, too
        raise ConfigError(f"{who}: {name} is a whole number, {least} or more, not {value!r}.")
    return value


def require_names(who: str, groups: Any) -> list[str] | None:
    """Patterns of names as a list.

    Raises:
        ConfigError: they are no texts, or none at all.
    """
    if groups is None:
        return None
    listed: Any = [groups] if isinstance(groups, str) else groups
    found = cast("list[object]", listed) if isinstance(listed, list | tuple) else []
    if not found or not all(isinstance(each, str) for each in found):
        raise ConfigError(f"{who}: groups is a name with `*` for any text, a list of such, or null, not {groups!r}.")
    return [str(each) for each in found]
