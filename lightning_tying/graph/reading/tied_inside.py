"""Bindings and what a tied module inside computes already in; mistake 34 where both would decide over one parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lightning_tying.graph.inventory import FoundValue
from lightning_tying.graph.matching.bind import Binding
from lightning_tying.graph.report import Report


def refuse_tied_inside(bindings: Iterable[Binding], values: Sequence[FoundValue], report: Report) -> None:
    """Refuse to bind what a parametrization that `tie` made computes, or what it reads.

    A part of a model may be tied by itself, and the whole again by another spec; but a computed site would get two
    values, and a parameter that was replaced would leave the slots that hold it behind.

    Args:
        bindings: of the spec.
        values: the sites that are computed already.
        report: takes the mistakes, one for each entry.
    """
    if not values:
        return
    computed = {value.fqn for value in values}
    readers = {slot.parameter: value.fqn for value in values for slot in value.slots}
    told: set[int] = set()
    for binding in bindings:
        fqn, number = binding.site.fqn, binding.source.number
        reader = fqn if fqn in computed else readers.get(binding.site.parameter)
        if reader is None or number in told:
            continue
        told.add(number)
        is_computed = "is computed" if reader == fqn else f"is read by {reader}, which is computed"
        text = f"{fqn} {is_computed} by a spec that a part of this module is tied with. Untie it first: "
        report.add("34", binding.source.entry.location, f"{text}untie(module, [{reader!r}]).")
