"""Refuses sparse gradients where dense ones are added to them, or where a value is computed (error 73)."""

from __future__ import annotations

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import Reader, check_readers, find_odd_reader, find_place


def check_gradients(graph: SharingGraph) -> SharingGraph:
    """All sites that read a shared parameter make gradients of one layout, and derived ones dense gradients.

    Raises:
        SpecError: with a problem for each family and entry.
    """
    sparse = {site.fqn for site in graph.sites if site.sparse}
    computed = [derived for derived in graph.derived if derived.site in sparse] if sparse else []
    if computed:
        first = computed[0]
        text = f"{first.site} has sparse gradients, and a value that is computed takes dense ones. Set sparse=False."
        raise SpecError([Problem("73", first.location, text)])
    return check_readers(graph, _check)


def _check(_: SharingGroup, readers: list[Reader]) -> Problem | None:
    odd = find_odd_reader(readers, lambda site: site.sparse)
    if odd is None:
        return None
    first = readers[0]
    sparse, dense = (first, odd) if first[1].sparse else (odd, first)
    text = (
        f"{sparse[0].site} has sparse gradients and {dense[0].site} dense ones; torch cannot add them. "
        "Set sparse=False."
    )
    return Problem("73", find_place(first[0], odd[0]), text)
