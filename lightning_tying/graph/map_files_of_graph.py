"""A graph in; the map files that its expressions were made with out."""

from __future__ import annotations

from typing import Any

from lightning_tying.algebra.expression import Argument, Call, FileMap
from lightning_tying.graph.parts import GraphView


def find_maps(graph: GraphView) -> dict[str, FileMap]:
    """Every map file that a graph's expressions were made with, by path."""
    expressions = [each.expression for each in (*graph.derived, *graph.penalties)]
    calls = (node for expression in expressions for node in expression.walk() if isinstance(node, Call))
    values = (value for call in calls for _, value in call.arguments)
    return {value.path: value for value in _flatten(values) if isinstance(value, FileMap)}


def _flatten(values: Any) -> list[Argument]:
    return [each for value in values for each in (_flatten(value) if isinstance(value, tuple) else [value])]
