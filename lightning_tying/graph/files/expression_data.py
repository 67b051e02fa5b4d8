"""From expressions to plain content for JSON and back; the content of map files is written once."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TypedDict

from lightning_tying.algebra.expression import (
    Argument,
    Call,
    Constant,
    Expression,
    FileMap,
    MatrixProduct,
    Own,
    ParameterName,
    Product,
    Read,
    ScalarMap,
    Shape,
    Sum,
)
from lightning_tying.spec.nodes import PlainData

Content = dict[str, PlainData]


class NameData(TypedDict):
    """A shared parameter's name: family and index."""

    family: str
    index: list[int | str]


class ExpressionWriter:
    """Writes expressions; map files are collected in `maps`, and named by their number."""

    def __init__(self) -> None:
        self.maps: list[PlainData] = []
        self._numbers: dict[FileMap, int] = {}

    def write(self, node: Expression) -> Content:
        """One expression as plain content."""
        return {**self._write_kind(node), "shape": [*node.shape]}

    def _write_kind(self, node: Expression) -> Content:
        match node:
            case Read(parameter=parameter):
                return {"read": _write_name(parameter)}
            case Constant(number=number):
                return {"number": number}
            case Sum(terms=terms, signs=signs):
                return {"sum": [self.write(term) for term in terms], "signs": [*signs]}
            case Product(factors=factors):
                return {"product": [self.write(factor) for factor in factors]}
            case MatrixProduct(left=left, right=right):
                return {"matmul": [self.write(left), self.write(right)]}
            case Call():
                return self._write_call(node)
            case _:
                raise TypeError(f"{type(node).__name__} is no expression of the language.")

    def _write_call(self, call: Call) -> Content:
        own: list[PlainData] = [
            {"name": one.name, "parameter": _write_name(one.parameter), "shape": [*one.shape]} for one in call.own
        ]
        return {
            "call": call.function,
            "operands": [self.write(operand) for operand in call.operands],
            "arguments": [[name, self._write_argument(value)] for name, value in call.arguments],
            "own": own,
            "key": call.key,
        }

    def _write_argument(self, value: Argument) -> PlainData:
        if isinstance(value, tuple):
            return [self._write_argument(part) for part in value]
        if isinstance(value, ScalarMap):
            return {"scalar": value.text, "words": [[name, word] for name, word in value.words]}
        return {"file": self._number_map(value)} if isinstance(value, FileMap) else value

    def _number_map(self, map: FileMap) -> int:
        if map not in self._numbers:
            self._numbers[map] = len(self.maps)
            content = base64.b64encode(map.content).decode("ascii")
            shape: list[PlainData] = [*map.shape]
            told: Content = {"path": map.path, "sha256": map.sha256, "shape": shape, "count": map.count}
            digest: Content = {"digest": map.digest} if map.digest else {}
            self.maps.append({**told, **digest, "content": content})
        return self._numbers[map]


class ExpressionReader:
    """Reads what `ExpressionWriter` wrote.

    Args:
        maps: what the writer collected.

    Raises:
        KeyError, TypeError, ValueError: the content is none that the writer makes.
    """

    def __init__(self, maps: PlainData) -> None:
        self._maps = tuple(_read_map(_mapping(map)) for map in _items(maps))

    def read(self, data: PlainData) -> Expression:
        """One expression."""
        content = _mapping(data)
        shape = _shape(content["shape"])
        if "read" in content:
            return Read(shape, _read_name(content["read"]))
        if "number" in content:
            return Constant(shape, _number(content["number"]))
        if "sum" in content:
            return Sum(shape, self._read_all(content["sum"]), _signs(content["signs"], _items(content["sum"])))
        if "product" in content:
            return Product(shape, self._read_all(content["product"]))
        if "matmul" in content:
            left, right = self._read_all(content["matmul"])
            return MatrixProduct(shape, left, right)
        return self._read_call(content, shape)

    def _read_all(self, data: PlainData) -> tuple[Expression, ...]:
        parts = tuple(self.read(part) for part in _items(data))
        if not parts:
            raise ValueError("an expression without parts")
        return parts

    def _read_call(self, content: Content, shape: Shape) -> Call:
        arguments = [_items(pair) for pair in _items(content["arguments"])]
        return Call(
            shape,
            _text(content["call"]),
            tuple(self.read(operand) for operand in _items(content["operands"])),
            tuple((_text(name), self._read_argument(value)) for name, value in arguments),
            tuple(_read_own(_mapping(own)) for own in _items(content["own"])),
            _text(content["key"]),
        )

    def _read_argument(self, data: PlainData) -> Argument:
        if isinstance(data, list):
            return tuple(self._read_argument(part) for part in data)
        if not isinstance(data, dict):
            return data
        if "file" in data:
            return self._maps[_size(data["file"])]
        words = [_items(pair) for pair in _items(data["words"])]
        return ScalarMap(_text(data["scalar"]), tuple((_text(name), _word(value)) for name, value in words))


def _write_name(name: ParameterName) -> PlainData:
    return {"family": name.family, "index": [*name.index]}


def _read_name(data: PlainData) -> ParameterName:
    content = _mapping(data)
    index = _items(content["index"])
    return ParameterName(_text(content["family"]), tuple(_place(place) for place in index))


def _read_own(content: Content) -> Own:
    return Own(_text(content["name"]), _read_name(content["parameter"]), _shape(content["shape"]))


def _read_map(content: Content) -> FileMap:
    cells = base64.b64decode(_text(content["content"]), validate=True)
    path, sha256 = _text(content["path"]), _text(content["sha256"])
    digest = _text(content.get("digest", ""))
    return FileMap(path, sha256, _shape(content["shape"]), _size(content["count"]), cells, digest)


def _mapping(data: PlainData) -> Content:
    if not isinstance(data, dict):
        raise TypeError(f"{data!r:.60} is no mapping")
    return data


def _items(data: PlainData) -> list[PlainData]:
    if not isinstance(data, (list, tuple)):
        raise TypeError(f"{data!r:.60} is no list")
    return [*data]


def _text(data: PlainData) -> str:
    if not isinstance(data, str):
        raise TypeError(f"{data!r:.60} is no text")
    return data


def _size(data: PlainData) -> int:
    if type(data) is not int or data < 0:
        raise TypeError(f"{data!r:.60} is no size")
    return data


def _place(data: PlainData) -> int | str:
    if type(data) is not int and not isinstance(data, str):
        raise TypeError(f"{data!r:.60} is no place of an index")
    return data


def _number(data: PlainData) -> int | float:
    if type(data) is not int and not isinstance(data, float):
        raise TypeError(f"{data!r:.60} is no number")
    return data


def _word(data: PlainData) -> int | float | str:
    return data if isinstance(data, str) else _number(data)


def _shape(data: PlainData) -> Shape:
    return tuple(_size(size) for size in _items(data))


def _signs(data: PlainData, terms: Sequence[PlainData]) -> tuple[int, ...]:
    signs = tuple(int(_number(sign)) for sign in _items(data))
    if len(signs) != len(terms) or any(sign not in (1, -1) for sign in signs):
        raise ValueError(f"{data!r:.60} are no signs")
    return signs
