"""The bytes of a map file in, JSON or safetensors; its entries out, or a `ValueError` that says why not."""

from __future__ import annotations

import json
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

from lightning_tying.algebra.expression import Shape

_MOST_DIMENSIONS = 10
_MOST_HEADER = 100_000_000  # of the reference implementation of safetensors
_TYPECODES = {"I64": "q", "U64": "Q", "I32": "i", "U32": "I", "I16": "h", "U16": "H", "I8": "b", "U8": "B", "BOOL": "B"}


@dataclass(frozen=True)
class MapContent:
    """What a map file holds.

    Args:
        entries: in row-major order.
        shape: of the map.
        rows: how many values it says that it can name; None where it says nothing.
    """

    entries: array[int]
    shape: Shape
    rows: int | None = None


def parse_json(content: bytes) -> MapContent:
    """A list, nested for more dimensions, or `{"map": list, "rows": n}`.

    Raises:
        ValueError: what is wrong, as the end of a sentence.
        RecursionError: it nests too deep.
    """
    try:
        data: object = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON at line {error.lineno}, column {error.colno}") from None
    rows: int | None = None
    if isinstance(data, dict):
        mapping = cast("Mapping[str, object]", data)
        unknown = [key for key in mapping if key not in ("map", "rows")]
        if unknown or "map" not in mapping:
            raise ValueError('a mapping in it has the keys "map" and, if wanted, "rows"')
        data, rows = mapping["map"], _check_rows(mapping.get("rows"))
    if not isinstance(data, list):
        raise ValueError("it is not a list")
    return _flatten(cast("list[object]", data), rows)


def _check_rows(rows: object) -> int | None:
    if rows is None:
        return None
    if isinstance(rows, bool) or not isinstance(rows, int) or not 0 <= rows < 1 << 63:
        raise ValueError(f"its rows are {_show(rows)}, not a whole number")
    return rows


def _flatten(data: list[object], rows: int | None) -> MapContent:
    """Level by level, so that each is checked whole."""
    shape = [len(data)]
    level: Sequence[object] = data
    while level and isinstance(level[0], list):
        if not all(isinstance(part, list) for part in level):
            raise ValueError("lists and numbers stand beside each other in it")
        lists = cast("Sequence[list[object]]", level)
        if any(len(part) != len(lists[0]) for part in lists):
            raise ValueError("its lists are of unequal length")
        shape.append(len(lists[0]))
        if len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"it has more than {_MOST_DIMENSIONS} dimensions")
        level = list(chain.from_iterable(lists))
    if set(map(type, level)) - {int}:
        place, entry = next((i, part) for i, part in enumerate(level) if type(part) is not int)
        raise ValueError(f"its entry {place} is {_show(entry)}, not a whole number")
    return MapContent(_gather_entries(cast("Sequence[int]", level)), tuple(shape), rows)


def _gather_entries(numbers: Sequence[int]) -> array[int]:
    try:
        return array("q", numbers)
    except OverflowError:
        raise ValueError("a number in it is beyond ±2⁶³") from None


def _show(value: object) -> str:
    written = json.dumps(value)
    return written if len(written) <= 24 else f"{written[:24]}…"


class MissingTensor(ValueError):
    """A safetensors file has no tensor of that name; carries the names that it has."""

    def __init__(self, name: str, names: tuple[str, ...]) -> None:
        self.names = names
        super().__init__(f"it has no tensor `{name}` (its tensors: {', '.join(names)[:80] or 'none'})")


def parse_safetensors(content: bytes, name: str = "map") -> MapContent:
    """A tensor of whole numbers, and `rows` of the metadata.

    The format: eight bytes, little-endian, the length of a JSON header; the header, `dtype`, `shape` and
    `data_offsets` by name; the data.

    Args:
        content: of the file.
        name: of the tensor.

    Raises:
        MissingTensor: there is none of that name.
        ValueError: what is wrong, as the end of a sentence.
    """
    header, data = _read_header(content)
    metadata = header.get("__metadata__")
    rows = cast("Mapping[str, object]", metadata).get("rows") if isinstance(metadata, dict) else None
    tensor = _find_tensor(header, name)
    typecode = _TYPECODES.get(str(tensor.get("dtype")))
    if typecode is None:
        raise ValueError(f"its tensor `{name}` is {_show(tensor.get('dtype'))}, not of whole numbers")
    shape, (start, stop) = _read_sizes(tensor, "shape", name), _read_offsets(tensor, name)
    entries: array[int] = array(typecode)
    if not 0 <= start <= stop <= len(data) or stop - start != math.prod(shape) * entries.itemsize:
        raise ValueError(f"the offsets of its tensor `{name}` do not fit its shape or the file")
    entries.frombytes(data[start:stop])
    if sys.byteorder == "big":
        entries.byteswap()
    return MapContent(_gather_entries(entries), shape, _check_written_rows(rows))


def _read_header(content: bytes) -> tuple[Mapping[str, object], memoryview]:
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, _MOST_HEADER):
        raise ValueError("it is not a safetensors file, or is cut off")
    try:
        header: object = json.loads(content[8 : 8 + length].decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("its header is not JSON") from None
    if not isinstance(header, dict):
        raise ValueError("its header is not a mapping")
    return cast("Mapping[str, object]", header), memoryview(content)[8 + length :]


def _find_tensor(header: Mapping[str, object], name: str) -> Mapping[str, object]:
    tensors = {key: entry for key, entry in header.items() if key != "__metadata__"}
    entry = tensors.get(name)
    if not isinstance(entry, dict):
        raise MissingTensor(name, tuple(tensors))
    return cast("Mapping[str, object]", entry)


def _read_sizes(tensor: Mapping[str, object], key: str, name: str) -> tuple[int, ...]:
    sizes = tensor.get(key)
    numbers = cast("list[object]", sizes) if isinstance(sizes, list) else [None]
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 0 for size in numbers):
        raise ValueError(f"`{key}` of its tensor `{name}` is not a list of whole numbers")
    return tuple(cast("list[int]", numbers))


def _read_offsets(tensor: Mapping[str, object], name: str) -> tuple[int, int]:
    offsets = _read_sizes(tensor, "data_offsets", name)
    if len(offsets) != 2:
        raise ValueError(f"`data_offsets` of its tensor `{name}` are not two numbers")
    return offsets[0], offsets[1]


def _check_written_rows(rows: object) -> int | None:
    """Metadata of safetensors are texts."""
    if rows is None:
        return None
    if not isinstance(rows, str) or not rows.isascii() or not rows.isdigit() or len(rows) > 19:
        raise ValueError(f"its rows are {_show(rows)}, not a whole number")
    return int(rows)
