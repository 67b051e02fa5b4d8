"""A graph in; the coefficients of all that mix the same tensors, as rows of one orthogonal matrix, out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import Call, Expression, ParameterName
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.initial.draw import make_generator

Shape = Sequence[int]


def draw_orthogonal_rows(graph: SharingGraph) -> dict[ParameterName, Tensor]:
    """Draw every parameter whose init is `orthogonal_rows`.

    Those that mix the same operand are, in model order, the rows of one orthogonal matrix, each scaled to norm 1
    (Savarese & Maire 2019, section 3.1). Of more rows than columns, the columns are what is orthogonal.

    Returns:
        Float32, on the CPU, by name.
    """
    return {name: rows for family in _find_families(graph) for name, rows in _draw_family(family).items()}


def _find_families(graph: SharingGraph) -> list[dict[ParameterName, Shape]]:
    """The shapes of the coefficients that mix the same operand, in model order; each belongs to one family."""
    wanted = {group.name for group in graph.groups if group.policy.init.kind == "orthogonal_rows"}
    families: dict[tuple[Expression, ...], dict[ParameterName, Shape]] = {}
    for derived in graph.derived if wanted else ():
        for node in derived.expression.walk():
            for own in node.own if isinstance(node, Call) else ():
                if own.parameter in wanted:
                    wanted.remove(own.parameter)
                    families.setdefault(node.children, {})[own.parameter] = own.shape
    return list(families.values())


def _draw_family(family: dict[ParameterName, Shape]) -> dict[ParameterName, Tensor]:
    counts = [math.prod(shape[:-1]) for shape in family.values()]
    columns = next(iter(family.values()))[-1]
    generator = make_generator(str(next(iter(family))))
    matrix = nn.init.orthogonal_(torch.empty(sum(counts), columns, dtype=torch.float32), generator=generator)
    parts = torch.split(nn.functional.normalize(matrix, dim=1), counts)
    return {name: part.reshape(tuple(shape)) for (name, shape), part in zip(family.items(), parts, strict=True)}
