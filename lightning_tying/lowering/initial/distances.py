"""What sites held and what they start from in; the distance of each, and what it warns about, out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Expression
from lightning_tying.algebra.fits.linear_algebra import norm
from lightning_tying.algebra.fits.solve import Settled, compute_value
from lightning_tying.errors import Location, Problem
from lightning_tying.graph.ir import SharingGraph, SharingGroup

_FAR = 0.5  # ‖site − value‖ / ‖site‖ from which W5 speaks; the mean of two unrelated tensors is at 0.7
_WORST = 10
_TAKES_OVER = frozenset({"mean", "stepwise", "site", "svd", "svd_joint", "procrustes"})


@dataclass(frozen=True)
class InitialReport:
    """How far the initial values are from what the sites were: ‖site − value‖ / ‖site‖; `print` shows the worst ten.

    Args:
        worst: at most ten sites that do not keep their value, with their distances, the farthest first.
        far: of how many sites an init that takes over values (`mean`, `site`, `stepwise`, `svd`, `svd_joint`,
            `procrustes`) lost more than half; `first` and drawn inits are not counted, since a model is mostly tied
            before it is trained.
        farthest: the worst of those, with its distance.
        distances: of every site; aliases group by group, then derived sites in model order. 0 where a site keeps the
            very parameter that it had, infinite where a value takes the place of zeros. Sites on the meta device, and
            those whose values follow later, have none.
        remarks: W4 and W6 of the language reference.
    """

    worst: tuple[tuple[str, float], ...] = ()
    far: int = 0
    farthest: tuple[str, float] = ("", 0.0)
    distances: tuple[tuple[str, float], ...] = field(default=(), repr=False)
    remarks: tuple[Problem, ...] = ()

    @property
    def warning(self) -> Problem | None:
        """W5 of the language reference, where it applies."""
        if not self.far:
            return None
        site, distance = self.farthest
        sites = "1 site starts" if self.far == 1 else f"{self.far} sites start"
        were = "it was" if self.far == 1 else "they were"
        return Problem("W5", Location(), f"{sites} far from what {were}, the worst {site} at {distance:.2f}.")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """All that the values warn about: W4, W5, W6."""
        far = self.warning
        found = (*self.remarks, *(() if far is None else (far,)))
        return tuple(sorted(found, key=lambda problem: problem.code))

    def join(self, later: InitialReport) -> InitialReport:
        """This report and that of the values that followed later."""
        return InitialReport(
            find_worst((*self.worst, *later.worst)),
            self.far + later.far,
            min(self.farthest, later.farthest, key=_farthest_first),
            (*self.distances, *later.distances),
            (*self.remarks, *later.remarks),
        )

    def to_dict(self) -> dict[str, Any]:
        """As data for JSON: `distances` by site, `worst` as pairs, `warnings` as texts; None stands for infinite."""
        return {
            "distances": {site: _finite(distance) for site, distance in self.distances},
            "worst": [[site, _finite(distance)] for site, distance in self.worst],
            "warnings": [f"{problem.code} {problem}" for problem in self.warnings],
        }

    def __str__(self) -> str:
        if not self.distances:
            return "initial values: none to compare; the module is on the meta device"
        count = len(self.distances)
        sites = "1 site" if count == 1 else f"{count:,} sites"
        if not self.worst:
            return f"initial values: {sites} compared, each keeps what it was"
        shown = "the worst" if count == 1 or len(self.worst) == 1 else f"the worst {len(self.worst)}"
        lines = [f"initial values, ‖site − value‖ / ‖site‖: {sites} compared, {shown}"]
        return "\n".join([*lines, *(f"{distance:8.3f}  {site}" for site, distance in self.worst)])


def report_distances(
    graph: SharingGraph, parameters: Mapping[str, Tensor], settled: Settled, remarks: tuple[Problem, ...] = ()
) -> InitialReport:
    """Compare every site with its value; those on the meta device and those that are not settled are left out.

    Args:
        graph: what each site reads.
        parameters: what each site held, by FQN.
        settled: the values that the shared parameters start from.
        remarks: other warnings, to be kept with the report.
    """
    distances = _Distances()
    for group in graph.groups:
        value = settled.get(group.name)
        if value is not None:
            distances.add_group(group, parameters, value)
    inits = {group.name: group.policy.init.kind for group in graph.groups}
    for derived in graph.derived:
        site = parameters[derived.site]
        if not site.is_meta:
            takes_over = any(inits[name] in _TAKES_OVER for name in derived.expression.parameters)
            distances.add_derived(derived.site, derived.expression, site, settled, takes_over)
    return distances.report(remarks)


@dataclass
class _Distances:
    """Collects the distance of every site."""

    found: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    lost: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    def add_group(self, group: SharingGroup, parameters: Mapping[str, Tensor], value: Tensor) -> None:
        for use in group.uses:
            site = parameters[use.site]
            if not use.slot and not site.is_meta:
                distance = 0.0 if site is value else _distance(site, value)
                self._add(use.site, distance, group.policy.init.kind in _TAKES_OVER)

    def add_derived(self, fqn: str, expression: Expression, site: Tensor, settled: Settled, takes_over: bool) -> None:
        value = compute_value(expression, settled, widen(site))
        if value is not None:
            self._add(fqn, _distance(site, value), takes_over)

    def _add(self, site: str, distance: float, takes_over: bool) -> None:
        self.found.append((site, distance))
        if takes_over and distance > _FAR:
            self.lost.append((site, distance))

    def report(self, remarks: tuple[Problem, ...]) -> InitialReport:
        farthest = min(self.lost, key=_farthest_first, default=("", 0.0))
        return InitialReport(find_worst(self.found), len(self.lost), farthest, tuple(self.found), remarks)


def find_worst(distances: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """The ten sites that are farthest from what they were."""
    return tuple(sorted((entry for entry in distances if entry[1] > 0), key=_farthest_first)[:_WORST])


def widen(values: Tensor) -> Tensor:
    """The tensor without a gradient, in float32 at least."""
    return values.detach() if values.dtype is torch.float64 else values.detach().float()


def _farthest_first(entry: tuple[str, float]) -> float:
    return -entry[1]


def _distance(site: Tensor, value: Tensor) -> float:
    wide = widen(site)
    length, difference = float(norm(wide)), float(norm(wide - value.detach().to(wide)))
    if length == 0:
        return 0.0 if difference == 0 else math.inf
    distance = difference / length
    return math.inf if math.isnan(distance) else distance  # what has no order cannot be sorted


def _finite(distance: float) -> float | None:
    return distance if math.isfinite(distance) else None
