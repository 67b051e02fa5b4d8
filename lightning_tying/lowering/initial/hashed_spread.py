"""A graph and what its sites hold in; W4 for each hashed pool whose sites differ much in standard deviation out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from lightning_tying.algebra.expression import Call, Expression, ParameterName, Product, Read
from lightning_tying.errors import Problem
from lightning_tying.graph.ir import DerivedSite, SharingGraph
from lightning_tying.lowering.initial.draw import spread

_RATIO = 2.0  # one pool has one deviation; beyond this ratio a site starts far from what its layer was made for
_SCALED = frozenset({"scale", "normalize"})


def warn_hashed_spread(graph: SharingGraph, parameters: Mapping[str, Tensor]) -> tuple[Problem, ...]:
    """Compare the sites that read one pool through `hashed` and no scale of their own (W4 of the language reference).

    Args:
        graph: what each site reads.
        parameters: what each site holds before the tie, by FQN; sites on the meta device are left out.
    """
    readers: dict[ParameterName, list[DerivedSite]] = {}
    for derived in graph.derived:
        if not parameters[derived.site].is_meta:
            for pool in dict.fromkeys(_find_pools(derived.expression)):
                readers.setdefault(pool, []).append(derived)
    found = (_compare(pool, sites, parameters) for pool, sites in readers.items() if len(sites) > 1)
    return tuple(problem for problem in found if problem is not None)


def _find_pools(expression: Expression) -> Iterator[ParameterName]:
    """The pools that a value reads as they are hashed; below a scale or a factor nothing is looked for."""
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Product) or (isinstance(node, Call) and node.function in _SCALED):
            continue
        if isinstance(node, Call) and node.function == "hashed" and isinstance(node.operands[0], Read):
            yield node.operands[0].parameter
        waiting += reversed(node.children)


def _compare(pool: ParameterName, sites: list[DerivedSite], parameters: Mapping[str, Tensor]) -> Problem | None:
    deviations = [spread(parameters[derived.site]) for derived in sites]
    least, most = min(deviations), max(deviations)
    if most <= _RATIO * least:
        return None
    text = (
        f"The sites of `{pool}` have standard deviations {least:.2g} to {most:.2g}. "
        f"Write scale(hashed({pool})) with init: {{scale: match}}."
    )
    return Problem("W4", sites[0].location, text)
