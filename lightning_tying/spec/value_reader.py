"""The text of a value and the words of its equation in, a `Value` out, by the grammar of section 5."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from lightning_tying.spec.equation_words import EquationWords
from lightning_tying.spec.expressions import parse_expression
from lightning_tying.spec.functions import FUNCTIONS, Signature, find_function
from lightning_tying.spec.mistakes import Mistake, quote_text
from lightning_tying.spec.scalar_grammar import SCALAR_SIGNATURES, check_constant, unreadable, words_of
from lightning_tying.spec.scalars import Scalar, make_scalar
from lightning_tying.spec.value_mistakes import (
    check_parameter,
    index_of_nothing,
    no_value,
    numbers_only,
    part_of_a_tensor,
    site_on_the_right,
)
from lightning_tying.spec.values import Call, MatrixProduct, Negative, Number, Product, Quotient, Ref, Sum, Value

_FQN = re.compile(r"[A-Za-z_]\w*(?:\.[\w{}*|:]+)+")


def read_value(text: str, words: EquationWords) -> Value:
    """Read the right side of an equation.

    Args:
        text: as it was written.
        words: what tells a number from a shared parameter.

    Raises:
        Mistake: 22 to 24, 39 to 45, 51 to 55, 58.
    """
    if _FQN.fullmatch(text.strip()):
        raise site_on_the_right(text.strip(), words)
    value = _ValueReader(words).read(parse_expression(text))
    if not any(isinstance(part, (Ref, Call)) for part in value.walk()) or not _reads_parameter(value):
        raise Mistake("58", f"{quote_text(value.text)} reads no shared parameter.")
    return value


def _reads_parameter(value: Value) -> bool:
    if value.refs():
        return True
    signatures = [FUNCTIONS.get(call.function) for call in value.calls()]
    return any(signature is None or signature.brings for signature in signatures)


@dataclass(frozen=True)
class _ValueReader:
    """Reads one value; the words of the equation are the same in all of it."""

    words: EquationWords

    def read(self, node: ast.expr) -> Value:
        if self._is_scalar(node):
            return self._read_number(node)
        match node:
            case ast.Name(id=word):
                check_parameter(word)
                return Ref(ast.unparse(node), word)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                operand_value = self.read(operand)
                return Negative(ast.unparse(node), operand_value)
            case ast.BinOp():
                return self._read_operation(node)
            case ast.Subscript():
                return self._read_member(node)
            case ast.Call():
                return self._read_call(node, ())
            case ast.Attribute():
                raise site_on_the_right(ast.unparse(node), self.words)
            case ast.UnaryOp(op=op) | ast.BoolOp(op=op) | ast.Compare(ops=[op, *_]):
                raise numbers_only(node, op)
            case _:
                raise unreadable(node)

    def _is_scalar(self, node: ast.expr) -> bool:
        """Whether a part has no shared parameter and no function of the catalogue, so that it is a number."""
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                if not isinstance(part.func, ast.Name) or part.func.id not in SCALAR_SIGNATURES:
                    return False
            elif isinstance(part, (ast.Attribute, ast.Slice)):
                return False
        if isinstance(node, ast.Subscript):
            return isinstance(node.value, ast.Name) and node.value.id in self.words.let
        if isinstance(node, ast.Call):
            return True
        return all(self.words.is_scalar(word) for word in words_of(node))

    def _read_number(self, node: ast.expr) -> Value:
        if isinstance(node, (ast.List, ast.Compare, ast.BoolOp)):
            raise no_value(node)
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.USub):
            raise no_value(node)
        if isinstance(node, ast.Constant):
            check_constant(node)
            if isinstance(node.value, (str, bool, type(None))):
                raise no_value(node)
        scalar = make_scalar(node)
        return Number(scalar.text, scalar)

    def _read_operation(self, node: ast.BinOp) -> Value:
        text = ast.unparse(node)
        match node.op:
            case ast.Add() | ast.Sub():
                parts = _unchain(node, (ast.Add, ast.Sub))
                signs = tuple(-1 if isinstance(op, ast.Sub) else 1 for op, _ in parts)
                return Sum(text, tuple(self.read(part) for _, part in parts), signs)
            case ast.Mult():
                return Product(text, tuple(self.read(part) for _, part in _unchain(node, (ast.Mult,))))
            case ast.MatMult():
                return MatrixProduct(text, self.read(node.left), self.read(node.right))
            case ast.Div():
                if not self._is_scalar(node.right):
                    raise Mistake("54", f"`{text}`: only a number may stand below `/`.")
                return Quotient(text, self.read(node.left), make_scalar(node.right))
            case ast.Pow() if _squares(node):
                name = ast.unparse(node.left)
                raise Mistake("54", f"`{text}`: `**` is for numbers only. Write {name} * {name}")
            case op:
                raise numbers_only(node, op)

    def _read_member(self, node: ast.Subscript) -> Value:
        match node.value:
            case ast.Name(id=word):
                if word in self.words.captures:
                    raise Mistake(
                        "53", f"`{word}` is a capture of this equation and cannot also name a shared parameter."
                    )
                signature = FUNCTIONS.get(word)
                if signature is None or signature.brings:  # `t[l]` can be nothing but a shared parameter
                    check_parameter(word)
                index = self._read_index(node)
                return Ref(ast.unparse(node), word, index)
            case ast.Call() as call:
                return self._read_call(call, self._read_index(node), node)
            case ast.Subscript(value=inner, slice=place):
                both = f"{ast.unparse(inner)}[{_unparse_index(place)}, {_unparse_index(node.slice)}]"
                raise Mistake("23", f"`{ast.unparse(node)}` has two indices. Write {both}")
            case ast.Attribute():
                raise site_on_the_right(ast.unparse(node.value), self.words)
            case _:
                raise Mistake("23", f"{quote_text(ast.unparse(node))}: an index follows a name or a call.")

    def _read_index(self, node: ast.Subscript) -> tuple[Scalar, ...]:
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if len(places) == 1:
            node.slice = places[0]  # `W[l,]` is written `W[l]`
        if not places:
            raise Mistake("23", f"{quote_text(ast.unparse(node))} has an empty index. Leave the brackets out.")
        for dim, place in enumerate(places):
            if isinstance(place, ast.Slice):
                raise part_of_a_tensor(node.value, dim, place)
        return tuple(make_scalar(place) for place in places)

    def _read_call(self, node: ast.Call, index: tuple[Scalar, ...], whole: ast.expr | None = None) -> Value:
        name = ast.unparse(node.func)
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name):
            raise unreadable(node)
        if name in SCALAR_SIGNATURES:
            raise Mistake("23", f"{quote_text(ast.unparse(whole or node))}: {name} gives a number and takes no index.")
        signature = find_function(name)
        keywords = [(keyword.arg, keyword.value) for keyword in node.keywords]
        arguments = tuple(self._read_argument(part, i, signature) for i, part in enumerate(node.args))
        named = tuple((key, make_scalar(part)) for key, part in keywords if key is not None)
        if len(named) < len(keywords):
            raise unreadable(node)
        twice = next((key for i, (key, _) in enumerate(named) if key in dict(named[:i])), None)
        if twice is not None:
            raise Mistake("44", f"{name} is given `{twice}` twice. {signature or f'{name}(…)'}")
        if signature is not None:
            _check_call(node, signature, [key for key, _ in named])
            if index and not signature.takes_index:
                raise index_of_nothing(node, signature, index, arguments)
        return Call(ast.unparse(whole or node), name, arguments, named, index)

    def _read_argument(self, node: ast.expr, place: int, signature: Signature | None) -> Value | Scalar:
        kind = signature.kind_at(place) if signature is not None else None
        if kind == "value":
            return self.read(node)
        if kind is not None or isinstance(node, (ast.Constant, ast.List, ast.Compare, ast.BoolOp)):
            return make_scalar(node)
        return make_scalar(node) if self._is_scalar(node) else self.read(node)


def _check_call(node: ast.Call, signature: Signature, keywords: list[str]) -> None:
    for keyword in keywords:
        signature.find_keyword(keyword)
    letters = frozenset(keywords) if not signature.letters else frozenset[str]()
    signature.check_count(len(node.args), letters)


def _squares(node: ast.BinOp) -> bool:
    return isinstance(node.right, ast.Constant) and node.right.value == 2


def _unchain(node: ast.BinOp, operators: tuple[type[ast.operator], ...]) -> list[tuple[ast.operator, ast.expr]]:
    """The operands of `a + b - c` with the operator before each, without recursion."""
    parts: list[tuple[ast.operator, ast.expr]] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and isinstance(left.op, operators):
        parts.append((left.op, left.right))
        left = left.left
    parts.append((ast.Add(), left))
    return parts[::-1]


def _unparse_index(node: ast.expr) -> str:
    return ast.unparse(node).removeprefix("(").removesuffix(")") if isinstance(node, ast.Tuple) else ast.unparse(node)
