"""A graph in; the coefficients of all that mix the same tensors, as rows of orthogonal matrices, out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from lightning_tying.algebra.expression import Call, Expression, ParameterName
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.initial.draw import make_generator

Shape = Sequence[int]


def draw_orthogonal_rows(graph: SharingGraph) -> dict[ParameterName, Tensor]:
    """Draw every parameter whose init is `orthogonal_rows`.

    Those that mix the same operand take their rows in model order from one orthogonal matrix, each of norm 1; where
    there are more rows than columns, from several (Savarese & Maire 2019, section 3.1).

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
    blocks = [_draw_block(columns, generator) for _ in range(math.ceil(sum(counts) / columns))]
    matrix, start, found = torch.cat(blocks), 0, dict[ParameterName, Tensor]()
    for (name, shape), count in zip(family.items(), counts, strict=True):
        found[name] = matrix[start : start + count].reshape(tuple(shape))
        start += count
    return found


def _draw_block(columns: int, generator: Generator) -> Tensor:
    return nn.init.orthogonal_(torch.empty(columns, columns, dtype=torch.float32), generator=generator)
