"""Refuses to compute a value in a dtype that torch stores and does not compute with (error 38)."""

from __future__ import annotations

from lightning_tying.errors import Location, Problem, SpecError
from lightning_tying.graph.ir import SharingGraph


def check_computed(graph: SharingGraph) -> SharingGraph:
    """No derived site, and no site under a penalty, is of an 8-bit floating-point dtype; an alias may be.

    Raises:
        SpecError: with a problem for each entry.
    """
    stored = {site.fqn: site.meta.dtype for site in graph.sites if site.meta.dtype.startswith("float8")}
    if not stored:
        return graph
    computed = [*graph.derived, *graph.penalties]
    told: dict[Location, Problem] = {}
    for each in computed:
        if each.site in stored:
            dtype = stored[each.site]
            text = f"{each.site} is torch.{dtype}, and no value is computed in it. Convert the module first."
            told.setdefault(each.location, Problem("38", each.location, text))
    if told:
        raise SpecError(told.values())
    return graph
