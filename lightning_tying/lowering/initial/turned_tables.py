"""A table with init `procrustes` and its sites in; its values, and the matrix beside it at each site, out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Expression, FileMap, ParameterName, ScalarMap
from lightning_tying.algebra.fits.procrustes import TurnedTable, solve_turns
from lightning_tying.algebra.fits.solve import Settled
from lightning_tying.algebra.maps.index_maps import map_cells
from lightning_tying.algebra.turned import find_arguments, find_turned
from lightning_tying.graph.ir import SharingGraph, SharingGroup


def solve_turned(
    group: SharingGroup, graph: SharingGraph, read: Callable[[str], Tensor], settled: Settled
) -> Mapping[ParameterName, Tensor]:
    """The table and the matrices that are still open (orthogonal Procrustes, see `fits.procrustes`).

    Args:
        group: the table, whose init is `procrustes`.
        graph: says what each site reads.
        read: what a site holds, in the dtype to reckon in.
        settled: what is known.

    Returns:
        Values by name; empty where no site reads the table so.
    """
    tables = list(_find_tables(group.name, graph, read, settled))
    if not tables:
        return {}
    rows, width = group.meta.shape
    table, turns = solve_turns(tables, rows, width)
    found = {name: turn for name, turn in turns.items() if isinstance(name, ParameterName) and name not in settled}
    return {group.name: table, **found}


def _find_tables(
    name: ParameterName, graph: SharingGraph, read: Callable[[str], Tensor], settled: Settled
) -> Iterator[TurnedTable]:
    for derived in graph.derived:
        found = find_turned(derived.expression, name)
        if found is not None:
            left, matrix = found
            values = read(derived.site)
            yield TurnedTable(matrix, values, _find_rows(left, len(values)).to(values.device), settled.get(matrix))


def _find_rows(left: Expression, words: int) -> Tensor:
    index_map = find_arguments(left).get("map")
    if isinstance(index_map, (FileMap, ScalarMap)):
        return map_cells(index_map, (words,)).clone()
    return torch.arange(words)
