"""What a policy sees of a run, and what it may want, as frozen data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ConfigError
from lightning_tying.reports.adaptive.decision import Decision
from lightning_tying.spec.nearest import suggest

Cosines: TypeAlias = tuple[tuple[float, ...], ...]
_MOST = 12  # names in a message


@dataclass(frozen=True)
class GroupView:
    """One parameter of the model with its sites.

    Args:
        name: as `split` and `join` take it; of a parameter that nothing shares its FQN.
        sites: that read it, as plans print them.
        places: the FQNs in the LightningModule under which it is held, each with its site.
        key: the name under which its per-use gradients are caught.
        shape: of the parameter.
        dtype: torch's name without `torch.`.
        trained: whether it gets a gradient.
    """

    name: str
    sites: tuple[str, ...]
    places: Mapping[str, str] = field(repr=False)
    key: ParameterName
    shape: tuple[int, ...]
    dtype: str = "float32"
    trained: bool = True

    @property
    def identity(self) -> tuple[str, tuple[str, ...]]:
        """Name and sites: a group whose sites were divided may keep its name."""
        return self.name, self.sites

    @property
    def role(self) -> str:
        """What it is for: its name with every number as `*`."""
        return re.sub(r"\d+", "*", self.name)


@dataclass(frozen=True)
class View:
    """A run at one moment between two optimizer steps.

    Args:
        step: optimizer steps so far.
        total_steps: of the whole run; infinite where it has no end.
        parameters: of the model.
        groups: all its parameters.
        samples: by name and sites, the cosines of each two sites at the last sampled steps, the oldest first.
        history: what was decided before.
        distance: of the values of two parameters of one shape, over their size: 0 for equal ones, 1.41 for two that
            have nothing in common, 2 for opposite ones.
    """

    step: int
    total_steps: float
    parameters: int
    groups: tuple[GroupView, ...]
    samples: Mapping[tuple[str, tuple[str, ...]], Sequence[Cosines]]
    history: tuple[Decision, ...]
    distance: Callable[[GroupView, GroupView], float]


@dataclass(frozen=True)
class Proposal:
    """What a policy wants.

    Args:
        kind: `split` one group, or try to `join` several.
        groups: the one, or the several.
        reason: a sentence.
        evidence: by what it was decided.
        partition: of a split: the sites of each part.
        epsilon: of a join: by how much the validation loss may rise, less than that.
        init: of a join: where its value comes from.
    """

    kind: Literal["split", "join"]
    groups: tuple[GroupView, ...]
    reason: str
    evidence: Mapping[str, Any]
    partition: tuple[tuple[str, ...], ...] = ()
    epsilon: float = 0.0
    init: Literal["mean", "first", "largest"] = "mean"


def choose(groups: Sequence[GroupView], patterns: Sequence[str] | None, who: str) -> tuple[GroupView, ...]:
    """The groups whose name, or one of whose sites, a pattern matches.

    Args:
        groups: of the model.
        patterns: names in which `*` is any text; None for all.
        who: asks.

    Raises:
        ConfigError: a pattern matches nothing.
    """
    if patterns is None:
        return tuple(groups)
    for pattern in patterns:
        if not any(is_meant(each, [pattern]) for each in groups):
            known = [each.name for each in groups if len(each.sites) > 1] or [each.name for each in groups]
            near = suggest(pattern, known)
            more = f" and {len(known) - _MOST} more" if len(known) > _MOST else ""
            raise ConfigError(
                f"{who}: no sharing group matches `{pattern}`.{near} There are: {', '.join(known[:_MOST])}{more}."
            )
    return tuple(each for each in groups if is_meant(each, patterns))


def is_meant(group: GroupView, patterns: Sequence[str] | None) -> bool:
    """Whether a pattern matches the name of a group or one of its sites."""
    if patterns is None:
        return True
    meant = [re.compile(".*".join(re.escape(part) for part in pattern.split("*"))) for pattern in patterns]
    return any(each.fullmatch(name) for each in meant for name in (group.name, *group.sites))
