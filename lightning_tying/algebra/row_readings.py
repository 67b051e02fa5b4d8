"""A value in; the shared tables whose rows stand in its rows out, each with the map by which they are found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lightning_tying.algebra.expression import (
    Call,
    Expression,
    FileMap,
    IndexMap,
    MatrixProduct,
    ParameterName,
    Product,
    Read,
    ScalarMap,
    Sum,
)

_ROW_BY_ROW = frozenset(
    {"scale", "normalize", "softmax", "tanh", "sigmoid", "exp", "drop", "stop", "scale_grad", "mask"}
)


class RowReading(NamedTuple):
    """A table that a value reads row by row.

    Args:
        table: a shared parameter.
        map: which row of it stands in each row of the value; None: the row of the same number.
    """

    table: ParameterName
    map: IndexMap | None


def find_row_readings(expression: Expression, map: IndexMap | None = None) -> Iterator[RowReading]:
    """The tables of a value: what it reads so that a row of the table stands for one row of the value.

    Left out is what mixes rows, or finds them by a hash: there no row of the table is one word.

    Args:
        expression: what a site reads, with whole shapes.
        map: by which the rows of what stands around it are found.
    """
    match expression:
        case Read(parameter=parameter):
            yield RowReading(parameter, map)
        case Sum() | Product():
            for child in expression.children:
                if child.shape == expression.shape:
                    yield from find_row_readings(child, map)
        case MatrixProduct(left=left):
            yield from find_row_readings(left, map)
        case Call():
            yield from _find_in_call(expression, map)
        case _:
            return


def _find_in_call(call: Call, map: IndexMap | None) -> Iterator[RowReading]:
    arguments = dict(call.arguments)
    if call.function == "rows":
        found = arguments.get("map")
        if isinstance(found, (FileMap, ScalarMap)) and not _is_hash(found):
            yield from find_row_readings(call.operands[0], found if map is None else map)
    elif call.function in _ROW_BY_ROW or _keeps_rows(call, arguments.get("dim", 0)):
        for operand in call.operands:
            yield from find_row_readings(operand, map)


def _keeps_rows(call: Call, dim: object) -> bool:
    """Whether parts of rows are put together or taken out, and every row stays one row."""
    return call.function in ("concat", "slice") and dim in (1, -1) and len(call.shape) == 2


def _is_hash(index_map: IndexMap) -> bool:
    return isinstance(index_map, ScalarMap) and "hash(" in index_map.text
