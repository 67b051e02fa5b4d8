"""The backward passes of sampled steps in; the cosines of the sites of each sharing group, for each policy, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_tying.callbacks.adaptive.policy import Policy
from lightning_tying.callbacks.adaptive.view import Cosines, GroupView, is_meant
from lightning_tying.callbacks.stability import run
from lightning_tying.callbacks.stability.sample import make_sink
from lightning_tying.callbacks.stability.window import Window, make_parts
from lightning_tying.gradients.shared import find_shared
from lightning_tying.gradients.statistics import UseStatistics
from lightning_tying.reports.stability.measures import cosines

Identity = tuple[str, tuple[str, ...]]


class Samples:
    """What was sampled for the policies that judge gradients.

    Args:
        policies: those that do.
    """

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = policies
        self._kept: dict[str, dict[Identity, list[Cosines]]] = {each.label: {} for each in policies}
        self._last: dict[str, int] = {}  # step // every_n_steps of the last sample
        self._window: Window | None = None
        self._due: list[Policy] = []

    def begin(self, trainer: Trainer, module: LightningModule, groups: Sequence[GroupView]) -> None:
        """Begin to catch, where a step begins that a policy wants sampled."""
        if self._window is not None:
            return
        step = trainer.global_step
        self._due = [each for each in self._policies if self._last.get(each.label) != step // each.every_n_steps]
        wanted = {group.key for group in groups if group.trained and len(group.sites) > 1 and self._is_wanted(group)}
        chosen = [each for each in find_shared(module).values() if each.name in wanted] if wanted else []
        if chosen:
            parts = make_parts(trainer.optimizers, chosen, partial(make_sink, "sketch"), False, None)
            self._window = Window(module, parts)

    def take(self, trainer: Trainer, optimizer: object, groups: Sequence[GroupView]) -> None:
        """Make cosines of what was caught, now that an optimizer is going to step."""
        part = None if self._window is None else self._window.take(optimizer)
        if self._window is not None and not self._window.parts:
            self._window = None
        if part is None or part.sink is None:
            return
        found = part.sink.finish(run.find_scale(trainer))
        by_key = {group.key: group for group in groups}
        for policy in self._due:
            self._last[policy.label] = trainer.global_step // policy.every_n_steps
            for key, numbers in found.items():
                group = by_key[key]
                if numbers.finite and is_meant(group, policy.groups):
                    held = self._kept[policy.label].setdefault(group.identity, [])
                    held.append(cosines_of_sites(numbers, group))
                    del held[: -policy.samples]

    def of(self, policy: Policy) -> Mapping[Identity, Sequence[Cosines]]:
        """The samples of a policy, the oldest first."""
        return self._kept.get(policy.label, {})

    def forget(self, groups: Sequence[GroupView]) -> None:
        """Drop what belongs to groups that are no more."""
        known = {group.identity for group in groups}
        for label, held in self._kept.items():
            self._kept[label] = {identity: each for identity, each in held.items() if identity in known}

    def close(self) -> None:
        """Catch nothing any more."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def state_dict(self) -> dict[str, Any]:
        """All that is kept, as plain content."""
        kept = {
            label: [[*identity_to_data(identity), tables_to_data(tables)] for identity, tables in held.items()]
            for label, held in self._kept.items()
        }
        return {"kept": kept, "last": dict(self._last)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there; what policies of other options have sampled is left out."""
        for label, held in state["kept"].items():
            if label in self._kept:
                self._kept[label] = {
                    (name, tuple(sites)): [tuple(map(tuple, table)) for table in tables] for name, sites, tables in held
                }
        self._last = {label: int(number) for label, number in state["last"].items()}

    def _is_wanted(self, group: GroupView) -> bool:
        return any(is_meant(group, each.groups) for each in self._due)


def identity_to_data(identity: Identity) -> tuple[str, list[str]]:
    """Name and sites as plain content."""
    return identity[0], list(identity[1])


def tables_to_data(tables: Sequence[Cosines]) -> list[list[list[float]]]:
    """Cosines as plain content."""
    return [[list(row) for row in table] for table in tables]


def cosines_of_sites(numbers: UseStatistics, group: GroupView) -> Cosines:
    """The cosine of each two sites; a site that is read more than once adds up what its uses say.

    Args:
        numbers: of the uses of a group, with inner products.
        group: with K sites.

    Returns:
        K × K; NaN for a site without a gradient.
    """
    order = {site: place for place, site in enumerate(group.sites)}
    sums = torch.zeros(len(order), len(numbers.keys), dtype=torch.float64)
    for place, key in enumerate(numbers.keys):
        site = group.places.get(key.place)
        if site is not None:
            sums[order[site], place] = 1.0
    gram = torch.zeros(len(numbers.keys), len(numbers.keys)) if numbers.gram is None else numbers.gram
    inner = sums @ gram.to("cpu", torch.float64) @ sums.T
    found = cosines(replace(numbers, gram=inner))
    return () if found is None else tuple(tuple(float(cell) for cell in row) for row in found)
