"""A graph in; the order in which its parameters are solved out."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_tying.algebra.expression import Call, Expression, ParameterName, Read
from lightning_tying.graph.ir import SharingGraph, SharingGroup


def order_groups(graph: SharingGraph) -> list[SharingGroup]:
    """First those that a site reads as it is, then the others in model order of their first use.

    Within one value from left to right: the arguments of a function, then what it brings.
    """
    bare = [group for group in graph.groups if any(use.bare for use in group.uses)]
    first = {group.name for group in bare}
    others = {group.name: group for group in graph.groups if group.name not in first}
    named = dict.fromkeys(name for derived in graph.derived for name in read_in_order(derived.expression))
    return [*bare, *(others[name] for name in named if name in others)]


def read_in_order(expression: Expression) -> Iterator[ParameterName]:
    """The parameters of an expression from left to right, as often as they are read."""
    waiting: list[tuple[Expression, bool]] = [(expression, False)]
    while waiting:
        node, is_done = waiting.pop()
        if isinstance(node, Read):
            yield node.parameter
        elif is_done and isinstance(node, Call):
            yield from (own.parameter for own in node.own)
        elif not is_done:
            waiting.append((node, True))
            waiting += [(child, False) for child in reversed(node.children)]
