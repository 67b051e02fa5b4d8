"""A map in, from a file or a scalar; how many values it names, its numbers for all cells and what is wrong out."""

from __future__ import annotations

import math
import sys
from array import array

import torch
from torch import Tensor

from lightning_tying.algebra.expression import FileMap, IndexMap, Shape
from lightning_tying.algebra.maps.cell_numbers import number_cells
from lightning_tying.algebra.maps.intervals import bound_map
from lightning_tying.algebra.maps.map_files import read_map
from lightning_tying.spec.mistakes import Mistake, quote_text

__all__ = [
    "check_binary",
    "check_entries",
    "check_names",
    "check_readable",
    "count_values",
    "has_holes",
    "map_cells",
    "name_map",
    "read_map",
]

HOLE = -1  # an id that its tokenizer does not use
MOST_VALUES = 1 << 40  # beyond that a map was meant to end with % n


def name_map(index_map: IndexMap) -> str:
    """What a map is called in messages: its path, or its text."""
    return index_map.path if isinstance(index_map, FileMap) else quote_text(index_map.text)


def count_values(index_map: IndexMap, shape: Shape) -> int:
    """How many values a map can name.

    Args:
        index_map: from a file: its `rows`, else its largest entry + 1; a scalar: by interval arithmetic.
        shape: of what the map has a number for each cell of.

    Raises:
        Mistake: 46, 48 to 50, 57; 75 where a scalar names more than any tensor has.
    """
    if isinstance(index_map, FileMap):
        return index_map.count
    count = max(int(bound_map(index_map, shape).high) + 1, 0)
    if count > MOST_VALUES:
        text = f"{name_map(index_map)} names up to {count - 1}, more than a tensor has."
        raise Mistake("75", f"{text} End it with % ‹how many›.")
    return count


def map_cells(index_map: IndexMap, shape: Shape) -> Tensor:
    """The numbers of a map.

    Returns:
        int64 of that shape on the CPU; not to be written to.

    Raises:
        Mistake: 46, 48 to 50, 57; 77 where a file has another shape.
    """
    if not isinstance(index_map, FileMap):
        return number_cells(index_map, shape)
    if index_map.shape != shape:
        raise Mistake(
            "77", f"{index_map.path} has {_write_shape(index_map.shape)}, and {_write_shape(shape)} are needed."
        )
    with torch.device("cpu"):
        return _read_content(index_map.content).view(shape)


def check_entries(index_map: IndexMap, shape: Shape, site: str, unit: str = "cell") -> None:
    """Refuse a file that has not one entry for each cell.

    Args:
        index_map: a scalar always fits.
        shape: of what it must have an entry for each cell of.
        site: the FQN, for the message.
        unit: what one of its cells is.

    Raises:
        Mistake: 77.
    """
    if not isinstance(index_map, FileMap) or index_map.shape == shape:
        return
    if len(shape) == len(index_map.shape) == 1:
        text = f"{index_map.path} has {_count_entries(index_map.shape[0])}, {site} {_count(shape[0], unit)}."
    else:
        text = f"{index_map.path} has {_write_shape(index_map.shape)} entries, {site} {_write_shape(shape)}."
    raise Mistake("77", text)


def has_holes(index_map: IndexMap) -> bool:
    """Whether a member of a row-map file has ids that its tokenizer does not use, written −1."""
    if not isinstance(index_map, FileMap) or index_map.member is None:
        return False
    return HOLE in _native(index_map.content)


def check_names(index_map: IndexMap, shape: Shape, name: str, count: int, unit: str, *, holes: bool = False) -> None:
    """Refuse a map that names what is not there.

    Args:
        index_map: the map.
        shape: of what it has a number for each cell of.
        name: of what it names parts of, for the message.
        count: how many parts that has.
        unit: what one part is: `row`.
        holes: whether −1, which names nothing, is let through.

    Raises:
        Mistake: 75; 46, 48 to 50, 57.
    """
    last = f"0 … {count - 1}" if count > 1 else "0" if count else "none"
    _check_range(index_map, shape, count, f"{name} has {_count(count, unit)}: {last}", HOLE if holes else 0)


def check_binary(index_map: IndexMap, shape: Shape) -> None:
    """Refuse a mask with another number than 0 and 1.

    Raises:
        Mistake: 75; 46, 48 to 50, 57.
    """
    _check_range(index_map, shape, 2, "a mask is 0 or 1")


def check_readable(index_map: IndexMap, shape: Shape) -> None:
    """Refuse a map that divides by zero in a cell, or is no map of whole numbers; any whole number will do.

    Raises:
        Mistake: 46, 48 to 50, 57.
    """
    if not isinstance(index_map, FileMap) and not bound_map(index_map, shape).safe:
        map_cells(index_map, shape)


def _check_range(index_map: IndexMap, shape: Shape, count: int, what: str, least: int = 0) -> None:
    if not isinstance(index_map, FileMap):
        bounds = bound_map(index_map, shape)
        if bounds.safe and bounds.low >= 0 and bounds.high < count:
            return
    cells = map_cells(index_map, shape).reshape(-1)
    strays = ((cells < least) | (cells >= count)).nonzero()
    if len(strays):
        place = int(strays[0])
        where = _write_place(index_map, shape, place)
        raise Mistake("75", f"{name_map(index_map)} names {int(cells[place])} at {where}, and {what}.")


def _count_entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


def _count(number: int, unit: str) -> str:
    """`800 rows`, `1 row`, `20 blocks of 8 rows`."""
    head, space, rest = unit.partition(" ")
    return f"{number} {head}{'' if number == 1 else 's'}{space}{rest}"


def _write_place(index_map: IndexMap, shape: Shape, place: int) -> str:
    """`entry 17`, `entry [3, 4]`, `i0 = 17`, `i0, i1 = 3, 4`; counted from 0."""
    sizes = [math.prod(shape[dim + 1 :]) for dim in range(len(shape))]
    coordinates = [str(place // below % size) for below, size in zip(sizes, shape, strict=True)]
    if isinstance(index_map, FileMap):
        return f"entry {coordinates[0]}" if len(shape) == 1 else f"entry [{', '.join(coordinates)}]"
    return f"{', '.join(f'i{dim}' for dim in range(len(shape)))} = {', '.join(coordinates)}"


def _write_shape(shape: Shape) -> str:
    return str(list(shape))


def _read_content(content: bytes) -> Tensor:
    entries = _native(content)
    return torch.frombuffer(entries, dtype=torch.int64) if entries else torch.empty(0, dtype=torch.int64)


def _native(content: bytes) -> array[int]:
    """Little-endian int64 in this machine's order."""
    entries = array("q")
    entries.frombytes(content)
    if sys.byteorder == "big":
        entries.byteswap()
    return entries
