"""Groups and the parameters their sites have now in; the values the shared parameters start from, and a report, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lightning_tying.errors import Location, Problem
from lightning_tying.graph.ir import SharingGroup
from lightning_tying.lowering.draw import draw, is_drawn

_FAR = 0.5  # ‖site − value‖ / ‖site‖ from which W5 speaks; the mean of two unrelated tensors is at 0.7
_WORST = 10


@dataclass(frozen=True)
class InitialReport:
    """How far the initial values are from what the sites were: ‖site − value‖ / ‖site‖.

    Args:
        worst: at most ten sites with their distances, the farthest first.
        far: of how many sites an init that takes over values (`mean`, `site`, `stepwise`) lost more than
            half; `first` and drawn inits are not counted, since a model is mostly tied before it is trained.
        farthest: the worst of those, with its distance.
    """

    worst: tuple[tuple[str, float], ...] = ()
    far: int = 0
    farthest: tuple[str, float] = ("", 0.0)

    @property
    def warning(self) -> Problem | None:
        """W5 of the language reference, where it applies."""
        if not self.far:
            return None
        site, distance = self.farthest
        sites = "1 site starts" if self.far == 1 else f"{self.far} sites start"
        were = "it was" if self.far == 1 else "they were"
        return Problem("W5", Location(), f"{sites} far from what {were}, the worst {site} at {distance:.2f}.")

    def __str__(self) -> str:
        return "\n".join(f"{distance:8.3f}  {site}" for site, distance in self.worst)


@dataclass(frozen=True)
class InitialValues:
    """What a plan writes into its shared parameters.

    Args:
        values: by owner; an owner that keeps what it has is left out.
        pending: owners on the meta device whose init is drawn once they are real.
        report: how far the values are from the sites.
    """

    values: Mapping[str, Tensor]
    pending: frozenset[str]
    report: InitialReport


def find_initial_values(groups: Iterable[SharingGroup], parameters: Mapping[str, nn.Parameter]) -> InitialValues:
    """Solve or draw the value of each group; nothing is written.

    Args:
        groups: of a graph, with policies as they are to be carried out.
        parameters: what each site holds now, by FQN.
    """
    values: dict[str, Tensor] = {}
    pending: set[str] = set()
    distances = _Distances()
    with torch.no_grad():
        for group in groups:
            own = {site: parameters[site] for site in (*group.sites, *group.policy.init_sites)}
            if any(parameter.is_meta for parameter in own.values()):
                if is_drawn(group.policy.init):
                    pending.add(group.owner)
                continue
            value = _find_value(group, own)
            if value is not None:
                values[group.owner] = value
            distances.add(group, own, own[group.owner] if value is None else value)
    return InitialValues(values, frozenset(pending), distances.report())


def _find_value(group: SharingGroup, own: Mapping[str, nn.Parameter]) -> Tensor | None:
    """The group's value like its owner's in dtype and device; None where the owner has it already."""
    owner = own[group.owner]
    sources = [own[site] for site in group.policy.init_sites] or [owner]
    if is_drawn(group.policy.init):
        return draw(group, owner).to(owner)
    if all(source is owner for source in sources):
        return None
    if len(sources) == 1:
        return sources[0].detach().clone()
    total = torch.zeros(owner.shape, dtype=torch.promote_types(owner.dtype, torch.float32), device=owner.device)
    for source in sources:
        total += source
    return (total / len(sources)).to(owner.dtype)


@dataclass
class _Distances:
    """Collects the distance of every site."""

    found: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    lost: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    def add(self, group: SharingGroup, own: Mapping[str, nn.Parameter], value: Tensor) -> None:
        takes_over = group.policy.init.kind != "first" and not is_drawn(group.policy.init)
        for site in group.sites:
            parameter = own[site]
            if parameter is value:
                continue
            distance = _distance(parameter, value)
            self.found.append((site, distance))
            if takes_over and distance > _FAR:
                self.lost.append((site, distance))

    def report(self) -> InitialReport:
        worst = tuple(sorted(self.found, key=_farthest_first)[:_WORST])
        farthest = min(self.lost, key=_farthest_first, default=("", 0.0))
        return InitialReport(worst, len(self.lost), farthest)


def _farthest_first(entry: tuple[str, float]) -> float:
    return -entry[1]


def _distance(site: Tensor, value: Tensor) -> float:
    norm, difference = _norm(site), _norm(site.float() - value.float())
    if norm == 0:
        return 0.0 if difference == 0 else float("inf")
    return difference / norm


def _norm(values: Tensor) -> float:
    return float(values.float().square().sum().sqrt())
