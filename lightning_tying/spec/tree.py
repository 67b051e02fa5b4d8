"""A file or a mapping as a plain tree in which every node knows its place; and the same for plain Python data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union, cast

from lightning_tying.errors import Location, Problem

MAX_LEVELS = 20
_MOST_BITS = 1024  # Python does not write out whole numbers of any length
TOO_DEEP = f"The file nests more than {MAX_LEVELS} levels deep."


@dataclass(frozen=True)
class Leaf:
    """A text, a number, true, false or null; `written` is how it stands in the file."""

    value: str | int | float | bool | None
    written: str
    location: Location


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[Tree, ...]
    location: Location


@dataclass(frozen=True)
class Field:
    """A key of a mapping with its value; the location is the key's."""

    key: str
    value: Tree
    location: Location


@dataclass(frozen=True)
class Fields:
    """A mapping."""

    fields: tuple[Field, ...]
    location: Location

    def find(self, key: str) -> Tree | None:
        return next((field.value for field in self.fields if field.key == key), None)


Tree: TypeAlias = Union[Leaf, Items, Fields]


def kind_of(tree: Tree) -> str:
    """What a node is, for a message: `a number`, `a list`."""
    return (
        describe_value(tree.value) if isinstance(tree, Leaf) else "a list" if isinstance(tree, Items) else "a mapping"
    )


def describe_value(value: object) -> str:
    """What a plain value is, for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    return "a number" if isinstance(value, (int, float)) else "a text"


def tree_of_data(data: object, source: str | None, problems: list[Problem]) -> Tree:
    """A mapping from Python as a tree, with `share[2]` and `parameters.W` for places; mistakes are appended."""
    return _convert(data, "", 1, source, problems)


def _convert(data: object, path: str, level: int, source: str | None, problems: list[Problem]) -> Tree:
    place = Location(source, None, path)
    if level > MAX_LEVELS:
        problems.append(Problem("6", place, TOO_DEEP))
        return Leaf(None, "null", place)
    if isinstance(data, Mapping):
        fields = cast("Mapping[object, object]", data)
        return Fields(tuple(_convert_fields(fields, path, level, source, problems)), place)
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes, bytearray)):
        items = enumerate(cast("Sequence[object]", data))
        return Items(tuple(_convert(item, f"{path}[{i}]", level + 1, source, problems) for i, item in items), place)
    if data is None or isinstance(data, (bool, int, float, str)):
        if isinstance(data, float) and not math.isfinite(data):
            problems.append(Problem("7", place, f"{data} is no number of this language."))
        if isinstance(data, int) and data.bit_length() > _MOST_BITS:
            problems.append(Problem("7", place, "A whole number is too large."))
            return Leaf(None, "null", place)
        return Leaf(data, _write(data), place)
    problems.append(Problem("7", place, f"A {type(data).__name__} is neither text, number, list nor mapping."))
    return Leaf(None, "null", place)


def _convert_fields(
    data: Mapping[object, object], path: str, level: int, source: str | None, problems: list[Problem]
) -> list[Field]:
    fields: list[Field] = []
    for key, value in data.items():
        if not isinstance(key, str):
            text = f"A key is a text, and {key!r} is {describe_value(key)}."
            problems.append(Problem("7", Location(source, None, path), text))
            continue
        below = f"{path}.{key}" if path else key
        tree = _convert(value, below, level + 1, source, problems)
        fields.append(Field(key, tree, Location(source, None, below)))
    return fields


def _write(value: str | int | float | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
