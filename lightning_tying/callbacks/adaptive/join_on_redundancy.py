"""Parameters of one shape and one role in; the nearest two that were not tried yet, to be joined on trial, out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Literal

from typing_extensions import override

from lightning_tying.callbacks.adaptive.policy import Policy, require_names, require_whole
from lightning_tying.callbacks.adaptive.view import GroupView, Proposal, View, choose, is_meant
from lightning_tying.errors import ConfigError
from lightning_tying.reports.adaptive.decision import Decision

Init = Literal["mean", "first", "largest"]
INITS = ("mean", "first", "largest")


class JoinOnRedundancy(Policy):
    """Tries to join parameters that hold nearly the same, and keeps the join where validation hardly notices.

    Parameters of one role (names that differ in numbers alone) and one shape are compared; the nearest two get one
    value, the validation loss is measured at once, without training, and compared with that before on the same
    batches. If it rises by less than `epsilon` they are joined; else their values are put back, bit for bit. Two that
    were tried, or parted by another policy, are not tried again.

    Args:
        epsilon: by how much the loss may rise, less than that; above 0.
        every_n_steps: how often it is tried.
        groups: names in which `*` is any text, of groups or parameters that may be joined; None for all.
        within: the largest distance of two that are tried: ‖a − b‖ over the root mean square of ‖a‖ and ‖b‖; 0 for
            equal ones, 1.41 for two that have nothing in common.
        tries: how many pairs are tried at a time, until one is kept.
        init: where the joined value comes from, as for `join`.
        metric: the loss as the validation step logs it; lower is better. None for what the module names `monitor`,
            else `val/loss`, else `val_loss`, else what the step returns.

    Raises:
        ConfigError: an argument is wrong.
    """

    needs_validation = True

    def __init__(
        self,
        epsilon: float,
        every_n_steps: int = 500,
        groups: str | list[str] | None = None,
        *,
        within: float = 0.5,
        tries: int = 1,
        init: Init = "mean",
        metric: str | None = None,
    ) -> None:
        self.epsilon = _require_positive("epsilon", epsilon)
        self.within = _require_positive("within", within)
        self.every_n_steps = require_whole("JoinOnRedundancy", "every_n_steps", every_n_steps, 1)
        self.groups = require_names("JoinOnRedundancy", groups)
        self.tries = require_whole("JoinOnRedundancy", "tries", tries, 1)
        if init not in INITS:
            raise ConfigError(f"JoinOnRedundancy: init is one of {', '.join(INITS)}, not {init!r}.")
        self.init: Init = init
        self.metric = metric
        self.check_pause()

    @override
    def check(self, view: View) -> None:
        found = () if view.history else choose(view.groups, self.groups, "JoinOnRedundancy")
        if found and not list_pairs(found) and all(len(each.sites) == 1 for each in found):
            raise ConfigError(
                "JoinOnRedundancy: no two parameters have one shape and names that differ in numbers alone, so there "
                "is nothing to join. Name others in groups."
            )

    @override
    def propose(self, view: View) -> Sequence[Proposal]:
        meant = [each for each in view.groups if is_meant(each, self.groups)]
        found = find_nearest(meant, view.distance, self.within, view.history, self.tries)
        return [self._propose(one, other, distance) for distance, one, other in found]

    def _propose(self, one: GroupView, other: GroupView, distance: float) -> Proposal:
        evidence = {"distance": distance, "within": self.within, "epsilon": self.epsilon}
        reason = f"their values are {distance:.3g} apart"
        return Proposal("join", (one, other), reason, evidence, epsilon=self.epsilon, init=self.init)


def list_pairs(groups: Iterable[GroupView]) -> list[tuple[GroupView, GroupView]]:
    """Each two of one role, shape and dtype that are trained or frozen alike."""
    alike: dict[tuple[object, ...], list[GroupView]] = {}
    for each in groups:
        alike.setdefault((each.role, each.shape, each.dtype, each.trained), []).append(each)
    return [pair for each in alike.values() for pair in combinations(each, 2)]


def find_nearest(
    groups: Sequence[GroupView],
    distance: Callable[[GroupView, GroupView], float],
    within: float,
    history: Sequence[Decision],
    most: int,
) -> list[tuple[float, GroupView, GroupView]]:
    """The nearest pairs that may be tried, with their distances.

    Args:
        groups: that may be joined.
        distance: of the values of two.
        within: the largest.
        history: what was decided; what was tried or parted before is left out.
        most: pairs at most.
    """
    known = _list_settled(history)
    found: list[tuple[float, GroupView, GroupView]] = []
    for one, other in list_pairs(groups):
        if not any(_parts(settled, one, other) for settled in known):
            apart = distance(one, other)
            if math.isfinite(apart) and apart <= within:
                found.append((apart, one, other))
    return sorted(found, key=lambda each: (each[0], each[1].name, each[2].name))[:most]


def keeps(before: float, after: float, epsilon: float) -> bool:
    """Whether a join is kept: the loss rises by less than epsilon; a loss that is not a number never is."""
    return math.isfinite(after) and after - before < epsilon


def _list_settled(history: Sequence[Decision]) -> list[tuple[frozenset[str], ...]]:
    """The sets of sites that are not to be joined: those of joins that were refused or undone, and parts of splits."""
    undone = [each.before for each in history if each.action in ("undo", "refuse") and len(each.before) > 1]
    parted = [each.after for each in history if each.action == "split"]
    return [tuple(frozenset(sites) for _, sites in groups) for groups in (*undone, *parted)]


def _parts(settled: Sequence[frozenset[str]], one: GroupView, other: GroupView) -> bool:
    """Whether each of two groups has sites of another one of these sets."""
    mine = {place for place, sites in enumerate(settled) if sites.intersection(one.sites)}
    others = {place for place, sites in enumerate(settled) if sites.intersection(other.sites)}
    return bool(mine) and bool(others) and (mine != others or len(mine) > 1)


def _require_positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise ConfigError(f"JoinOnRedundancy: {name} is a number above 0, not {value!r}.")
    return float(value)
