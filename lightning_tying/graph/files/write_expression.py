"""What a site reads in; the same in the language out, as a text that means the same at that site."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from lightning_tying.algebra.expression import (
    Argument,
    Call,
    Constant,
    Expression,
    FileMap,
    MatrixProduct,
    ParameterName,
    Product,
    Read,
    ScalarMap,
    Sum,
)
from lightning_tying.spec.functions import FUNCTIONS
from lightning_tying.spec.names import SIZES, is_coordinate

_SUM, _PRODUCT, _ATOM = range(3)  # how tightly a text holds together
Arguments = Mapping[str, Argument]


def write_expression(expression: Expression, site: str = "") -> str:
    """An expression in the language: `W['q', 2] + low_rank(r=8)['layers.0.q.weight']`.

    Args:
        expression: what a site reads.
        site: its FQN. What belongs to this site alone is then written without the index that says so; sites that
            read alike have the same text.

    Returns:
        A right side for an equation of that one site; reading it there gives an expression of the same meaning: the
        words of a map are written out, and brackets that say no more than `+` and `*` do are left out.
    """
    return _Writer(site).write(expression)


def outline_expression(expression: Expression) -> str:
    """An expression for people, without saying which members it reads: `W[…] + low_rank(r=8)`."""
    return _Writer("", outline=True).write(expression)


def _write_index(index: tuple[int | str, ...]) -> str:
    return f"[{', '.join(repr(place) for place in index)}]" if index else ""


def _write_argument(value: Argument) -> str:
    match value:
        case FileMap(path=path):
            return repr(path)
        case ScalarMap():
            return _write_map(value)
        case tuple():
            return f"[{', '.join(_write_argument(part) for part in value)}]"
        case _:
            return repr(value)


def _write_map(map: ScalarMap) -> str:
    """The scalar with its words replaced by what they are; sizes and coordinates stay."""
    values = {name: value for name, value in map.words if name not in SIZES and not is_coordinate(name)}
    tree = _Replace(values).visit(ast.parse(map.text, mode="eval"))
    return ast.unparse(tree)


class _Replace(ast.NodeTransformer):
    """Puts values in the place of words."""

    def __init__(self, values: Mapping[str, int | float | str]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(self._values[node.id]) if node.id in self._values else node


def _write_keywords(call: Call, arguments: Arguments) -> list[str]:
    """Every other argument by its name; one that has its default, or that the graph has added, is left out."""
    signature = FUNCTIONS.get(call.function)
    if signature is None:
        return [f"{name}={_write_argument(value)}" for name, value in arguments.items() if value is not None]
    written: list[str] = []
    for argument in signature.arguments:
        text = _write_argument(arguments[argument.name]) if argument.name in arguments else argument.default
        if argument.kind != "value" and text != argument.default:
            written.append(f"{argument.name}={text}")
    return written


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the parts of one expression.

    Args:
        site: whose own parameters are written without an index.
        outline: whether an index is only hinted at.
    """

    site: str
    outline: bool = False

    def write(self, node: Expression) -> str:
        return self._write(node)[0]

    def _write(self, node: Expression) -> tuple[str, int]:
        match node:
            case Read(parameter=parameter):
                return self._write_name(parameter), _ATOM
            case Constant(number=number):
                return (repr(number), _ATOM) if number >= 0 else (f"({number!r})", _ATOM)
            case Sum(terms=terms, signs=signs):
                return self._write_sum(terms, signs), _SUM
            case Product(factors=(first, *others)):
                held = [self._hold(first, _PRODUCT), *(self._hold(factor, _ATOM) for factor in others)]
                return " * ".join(held), _PRODUCT
            case MatrixProduct(left=left, right=right):
                return f"{self._hold(left, _PRODUCT)} @ {self._hold(right, _ATOM)}", _PRODUCT
            case Call():
                return self._write_call(node), _ATOM
            case _:
                raise TypeError(f"{type(node).__name__} is no expression of the language.")

    def _hold(self, node: Expression, tightness: int) -> str:
        text, found = self._write(node)
        return text if found >= tightness else f"({text})"

    def _write_sum(self, terms: tuple[Expression, ...], signs: tuple[int, ...]) -> str:
        (text, first), *others = ((self._hold(term, _PRODUCT), sign) for term, sign in zip(terms, signs, strict=True))
        more = "".join(f" {'+' if sign > 0 else '-'} {text}" for text, sign in others)
        return f"{text if first > 0 else f'-{text}'}{more}"

    def _write_call(self, call: Call) -> str:
        parts = self._write_parts(call, dict(call.arguments))
        return f"{call.function}({', '.join(parts)}){self._write_own_index(call)}"

    def _write_parts(self, call: Call, arguments: Arguments) -> list[str]:
        match call.function:
            case "einsum":
                return self._write_einsum(call, arguments)
            case "flip" | "permute":
                return self._write_axes(call, arguments)
            case "tt":
                return self._write_tensor_train(call, arguments)
            case _:
                return [*(self.write(operand) for operand in call.operands), *_write_keywords(call, arguments)]

    def _write_einsum(self, call: Call, arguments: Arguments) -> list[str]:
        sizes = arguments.get("sizes")
        pairs = [pair for pair in sizes if isinstance(pair, tuple)] if isinstance(sizes, tuple) else []
        letters = [f"{letter}={size}" for letter, size in pairs]
        return [repr(arguments["formula"]), *(self.write(operand) for operand in call.operands), *letters]

    def _write_axes(self, call: Call, arguments: Arguments) -> list[str]:
        axes = arguments["axes"]
        return [self.write(call.operands[0]), *(repr(axis) for axis in (axes if isinstance(axes, tuple) else (axes,)))]

    def _write_tensor_train(self, call: Call, arguments: Arguments) -> list[str]:
        """The cores are written as one name; their number is the last place of its index."""
        cores = [core.parameter for core in call.operands if isinstance(core, Read)]
        name = ParameterName(cores[0].family, cores[0].index[:-1])
        return [self._write_name(name), *_write_keywords(call, arguments)]

    def _write_name(self, name: ParameterName) -> str:
        if self.outline and name.index:
            return f"{name.family}[…]"
        return f"{name.family}{_write_index(name.index)}"

    def _write_own_index(self, call: Call) -> str:
        """The index after a call, by which what it brings is named; none where that is the site."""
        index = call.own[0].parameter.index if call.own else (call.key,) if call.key else ()
        return "" if self.outline or index == (self.site,) else _write_index(index)
