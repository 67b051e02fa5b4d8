"""Two modules of one architecture, tied differently, go in; where each parameter of the second comes from comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from lightning_tying.graph.ir import DerivedSite, Use
from lightning_tying.lowering.initial.draw import is_drawn
from lightning_tying.lowering.resolve import without_wrappers
from lightning_tying.lowering.state import find_tied


@dataclass(frozen=True)
class Origin:
    """Where one parameter of the target comes from.

    Args:
        name: its first FQN in the target.
        kind: `kept`: the same parameter with the same uses. `copied`: one value, of a parameter that is split or of
            one site. `joined`: several values become one. `solved`: a fit gives it. `drawn`: the spec draws it.
        sites: what reads it in the target.
        sources: for each site the first FQN of the source's parameter there; empty where a site was computed, so
            that nothing has a state in the optimizer.
    """

    name: str
    kind: Literal["kept", "copied", "joined", "solved", "drawn"]
    sites: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A place at which a module registers a parameter.

    Args:
        site: what is read there.
        bare: whether the site has the parameter's own value.
        derived: what the site computes; None where it is the parameter.
        drawn: whether the spec draws the parameter's initial value.
    """

    site: str
    bare: bool = True
    derived: DerivedSite | None = None
    drawn: bool = False


class Layout:
    """Which parameter of a module is read where.

    Args:
        module: tied or not, or with tied modules inside.

    Attributes:
        parameters: by FQN, all names.
        places: by parameter's id, its names in model order.
    """

    def __init__(self, module: nn.Module) -> None:
        self.parameters = {without_wrappers(n): p for n, p in module.named_parameters(remove_duplicate=False)}
        self.places: dict[int, list[str]] = {}
        for name, parameter in self.parameters.items():
            self.places.setdefault(id(parameter), []).append(name)
        self._readings = dict(_find_readings(module))
        self._at_bare_sites = {each.site: name for name, each in self._readings.items() if each.bare}

    def reading(self, place: str) -> Reading:
        """What is read at a place."""
        return self._readings.get(place) or Reading(place)

    def find_parameter(self, site: str) -> nn.Parameter | None:
        """The parameter that a site has the value of; None where it computes one."""
        return self.parameters.get(site, self.parameters.get(self._at_bare_sites.get(site, "")))

    def first_name(self, parameter: nn.Parameter) -> str:
        """The name under which an optimizer or a state dict meets it first."""
        return self.places[id(parameter)][0]


def trace_origins(source: Layout, target: Layout) -> dict[str, Origin]:
    """Where each parameter of the target comes from, by first name, in model order."""
    kept = _find_kept(source, target)
    return {places[0]: _trace(source, target, places, kept=places[0] in kept) for places in target.places.values()}


def _trace(source: Layout, target: Layout, places: list[str], *, kept: bool) -> Origin:
    readings = [target.reading(place) for place in places]
    sites = tuple(dict.fromkeys(reading.site for reading in readings))
    if kept:
        return Origin(places[0], "kept", sites, (source.first_name(source.parameters[places[0]]),))
    if not all(reading.bare for reading in readings):
        return Origin(places[0], "drawn" if readings[0].drawn else "solved", sites, ())
    found = [source.find_parameter(site) for site in sites]
    names = [source.first_name(parameter) for parameter in found if parameter is not None]
    if len(names) < len(sites):
        return Origin(places[0], "copied" if len(sites) == 1 else "joined", sites, ())
    return Origin(places[0], "copied" if len(set(names)) == 1 else "joined", sites, tuple(names))


def _find_kept(source: Layout, target: Layout) -> set[str]:
    """The first names of parameters with the same places in both, whose derived sites are all kept as well."""
    kept: dict[str, list[Reading]] = {}
    for places in target.places.values():
        before = source.parameters.get(places[0])
        if before is None or source.places[id(before)] != places or before.shape != target.parameters[places[0]].shape:
            continue
        readings = [target.reading(place) for place in places]
        if [_sign(source.reading(place)) for place in places] == [_sign(reading) for reading in readings]:
            kept[places[0]] = readings
    slots = _count_slots(target)
    while True:  # a site is kept when all that it reads is
        held: dict[str, int] = {}
        for readings in kept.values():
            for reading in readings:
                held[reading.site] = held.get(reading.site, 0) + 1
        lost = [
            name
            for name, readings in kept.items()
            if any(reading.derived is not None and held[reading.site] < slots[reading.site] for reading in readings)
        ]
        if not lost:
            return set(kept)
        for name in lost:
            del kept[name]


def _count_slots(layout: Layout) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for place in layout.parameters:
        site = layout.reading(place).site
        counts[site] = counts.get(site, 0) + 1
    return counts


def _sign(reading: Reading) -> object:
    return reading.site, None if reading.derived is None else reading.derived.expression


def _find_readings(module: nn.Module) -> Iterator[tuple[str, Reading]]:
    for path, _, state in find_tied(module):
        prefix = f"{path}." if path else ""
        derived = {each.site: each for each in state.plan.graph.derived}
        for group in state.plan.graph.groups:
            drawn = is_drawn(group.policy.init)
            for use in group.uses:
                if use.slot:
                    yield prefix + use.place, _read(prefix, use, derived[use.site], drawn=drawn)


def _read(prefix: str, use: Use, derived: DerivedSite, *, drawn: bool) -> Reading:
    return Reading(prefix + use.site, use.bare, derived, drawn)
