"""Bindings in, a draft of each sharing group out: its name, who reads it, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from lightning_tying.algebra.expression import Call
from lightning_tying.graph.matching.bind import Anonymous, Binding, BoundEntry
from lightning_tying.graph.parts import ParameterName
from lightning_tying.graph.reading.templates import Place, Reading
from lightning_tying.spec.schema import Init


@dataclass(frozen=True, slots=True)
class Brought:
    """The function that brings a parameter.

    Args:
        function: as it is called: `low_rank`, or an import path.
        numbered: in its value: `low_rank2`.
        own: what the function calls the parameter: `A`.
    """

    function: str
    numbered: str
    own: str


@dataclass(eq=False)
class Draft:
    """A sharing group while it is made.

    Args:
        name: the shared parameter's.
        bindings: one for each use, in model order.
        brought: the function that brings it; None for one that equations name.
        has_derived: whether a site reads it by more than its name.
        places: what the values that read it say of it.
        init: the rule for its first value.
        init_sites: the FQNs that the rule solves from.
        sources: the entries that bind it, in the spec's order.
    """

    name: ParameterName
    bindings: list[Binding] = field(default_factory=list[Binding])
    brought: Brought | None = None
    has_derived: bool = False
    places: dict[Place, None] = field(default_factory=dict[Place, None])
    init: Init = field(default=Init("first"))
    init_sites: tuple[str, ...] = ()
    sources: tuple[BoundEntry, ...] = ()

    @property
    def owner(self) -> Binding:
        """The first that reads the parameter as it is; where there is none, the first that reads it at all."""
        return self._derived_owner if self.has_derived else self.bindings[0]

    @cached_property
    def _derived_owner(self) -> Binding:
        return next((one for one in self.bindings if one.is_bare), self.bindings[0])

    @property
    def slices(self) -> bool:
        """Whether a function draws its slices one by one."""
        return any(place.sliced for place in self.places)


def gather_drafts(bindings: Iterable[Binding]) -> tuple[Draft, ...]:
    """One draft for each shared parameter, in the order of its first use, from left to right in a value."""
    drafts: dict[ParameterName | Anonymous, Draft] = {}
    for binding in bindings:
        name = binding.name
        if isinstance(name, Reading):
            _gather_reading(name, binding, drafts)
            continue
        draft = drafts.get(name)
        if draft is None:
            named = ParameterName(binding.site.fqn) if isinstance(name, Anonymous) else name
            draft = drafts[name] = Draft(named)
        draft.bindings.append(binding)
    made = tuple(drafts.values())
    for draft in made:
        numbers = {binding.source.number: binding.source for binding in draft.bindings}
        draft.sources = tuple([numbers[number] for number in sorted(numbers)])
    return made


def _gather_reading(reading: Reading, binding: Binding, drafts: dict[ParameterName | Anonymous, Draft]) -> None:
    for place, name in zip(reading.template.places, reading.parameters, strict=True):
        draft = drafts.get(name)
        if draft is None:
            draft = drafts[name] = Draft(name, brought=_find_brought(reading, place))
        draft.bindings.append(binding)
        draft.has_derived = True
        draft.places[place] = None


def _find_brought(reading: Reading, place: Place) -> Brought | None:
    if place.call is None:
        return None
    call = reading.template.nodes[place.call].expression
    function = call.function if isinstance(call, Call) else ""
    return Brought(function, reading.template.functions[place.call], place.own)
