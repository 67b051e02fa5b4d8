"""The syntax tree of a scalar and the words of one site in, its value out; nothing is run as Python."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeGuard

from lightning_tying.spec.assignments import ASSIGNMENTS, explain_misfit
from lightning_tying.spec.hashing import hash_values
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.names import SIZES
from lightning_tying.spec.scalar_grammar import LARGEST, unreadable
from lightning_tying.spec.scope import PlacedScope, ScalarValue, Scope
from lightning_tying.spec.tree import describe_value

Number: TypeAlias = int | float

_ARITHMETIC: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: operator.mod,
}
_ORDER: dict[type[ast.cmpop], Callable[[Number | str, Number | str], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def evaluate_node(node: ast.expr, scope: Scope) -> ScalarValue:
    """Evaluate a tree that `check_scalar` has let through.

    Raises:
        Mistake: 46 unknown word, 48 texts where numbers are needed, 49 division by zero or a number
            beyond ±2⁶³, 56 an assignment that does not fit, 57 no such entry.
    """
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            result: ScalarValue = value
        case ast.Name(id=word):
            result = _look_up(word, scope)
        case ast.List(elts=items):
            result = [evaluate_node(item, scope) for item in items]
        case ast.Subscript(value=ast.Name(id=word), slice=place):
            result = _evaluate_entry(node, word, place, scope)
        case ast.Call(func=ast.Name(id=function)):
            result = _evaluate_call(node, function, scope)
        case _:
            result = _evaluate_operator(node, scope)
    return result


def _evaluate_operator(node: ast.expr, scope: Scope) -> ScalarValue:
    match node:
        case ast.BinOp():
            return _evaluate_operation(node, scope)
        case ast.Compare():
            return _evaluate_comparison(node, scope)
        case ast.BoolOp(op=op, values=values):
            results = (bool(evaluate_node(value, scope)) for value in values)
            return all(results) if isinstance(op, ast.And) else any(results)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not evaluate_node(operand, scope)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _checked(-_number(operand, node, scope), node)
        case _:
            raise unreadable(node)


def _look_up(word: str, scope: Scope) -> ScalarValue:
    try:
        return scope.words[word]
    except KeyError:
        raise _unknown_word(word, scope) from None


def _unknown_word(word: str, scope: Scope) -> Mistake:
    site, ndim = scope.words.get("site"), scope.words.get("ndim")
    if word in SIZES and isinstance(site, str):
        dimensions = "1 dimension" if ndim == 1 else f"{ndim} dimensions"
        text = f"`{word}` is no size of {site}, which has {dimensions}."
        return Mistake("46", f"{text} Take such sites out with where: ndim > {word[1:]}.")
    return Mistake("46", f"`{word}` is not a word here.")


def _is_number(value: ScalarValue) -> TypeGuard[Number]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(operand: ast.expr, whole: ast.expr, scope: Scope) -> Number:
    value = evaluate_node(operand, scope)
    if _is_number(value):
        return value
    raise _not_a_number(operand, value, whole, scope)


def _not_a_number(operand: ast.expr, value: ScalarValue, whole: ast.expr, scope: Scope) -> Mistake:
    text, name = ast.unparse(whole), ast.unparse(operand)
    kind = f"the text {value!r}" if isinstance(value, str) else describe_value(value)
    advice = ""
    if isinstance(value, str) and isinstance(operand, ast.Name):
        advice = f" Write {{{name}:int}}, or take those sites out with where."
    return Mistake("48", f"`{text}`: {name} is {kind}{_at(scope)}.{advice}")


def _at(scope: Scope) -> str:
    site = scope.words.get("site")
    return f" at {site}" if isinstance(site, str) else ""


def _checked(value: Number, node: ast.expr) -> Number:
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise Mistake("49", f"`{ast.unparse(node)}` is too large: whole numbers stay within ±2⁶³.")
    elif not math.isfinite(value):
        raise Mistake("49", f"`{ast.unparse(node)}` is too large for a real number.")
    return value


def _evaluate_operation(node: ast.BinOp, scope: Scope) -> Number:
    left, right = _number(node.left, node, scope), _number(node.right, node, scope)
    try:
        if isinstance(node.op, ast.Pow):
            return _checked(_power(left, right, node), node)
        return _checked(_ARITHMETIC[type(node.op)](left, right), node)
    except ZeroDivisionError:
        divisor, value = (node.left, left) if isinstance(node.op, ast.Pow) else (node.right, right)
        shown = "" if isinstance(divisor, ast.Constant) else f" ({ast.unparse(divisor)} = {value})"
        raise Mistake("49", f"`{ast.unparse(node)}` divides by zero{shown}.") from None
    except OverflowError:
        raise Mistake("49", f"`{ast.unparse(node)}` is too large for a real number.") from None


def _power(base: Number, exponent: Number, node: ast.expr) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1 and exponent > 64:
        raise Mistake("49", f"`{ast.unparse(node)}` is too large: whole numbers stay within ±2⁶³.")
    if base < 0 and not float(exponent).is_integer():
        raise Mistake("49", f"`{ast.unparse(node)}`: a negative number has no such power.")
    return base**exponent


def _evaluate_comparison(node: ast.Compare, scope: Scope) -> bool:
    left = evaluate_node(node.left, scope)
    for op, operand in zip(node.ops, node.comparators, strict=True):
        right = evaluate_node(operand, scope)
        if not _compare(left, op, right, node, scope):
            return False
        left = right
    return True


def _compare(left: ScalarValue, op: ast.cmpop, right: ScalarValue, node: ast.expr, scope: Scope) -> bool:
    if isinstance(op, (ast.Eq, ast.NotEq)):
        return (left == right) == isinstance(op, ast.Eq)
    if isinstance(op, (ast.In, ast.NotIn)):
        held = _holds(right, left)
        if held is None:
            raise Mistake("48", f"`{ast.unparse(node)}`: `in` needs a list, a mapping, or two texts{_at(scope)}.")
        return held == isinstance(op, ast.In)
    if (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
        return _ORDER[type(op)](left, right)
    raise Mistake(
        "48", f"`{ast.unparse(node)}` compares {left!r} with {right!r}{_at(scope)}: only alike have an order."
    )


def _holds(whole: ScalarValue, part: ScalarValue) -> bool | None:
    if isinstance(whole, str):
        return part in whole if isinstance(part, str) else None
    if isinstance(whole, list):
        return part in whole
    return str(part) in whole if isinstance(whole, dict) else None


def _evaluate_entry(node: ast.Subscript, word: str, place: ast.expr, scope: Scope) -> ScalarValue:
    whole, key = _look_up(word, scope), evaluate_node(place, scope)
    text, name = ast.unparse(node), ast.unparse(place)
    if isinstance(whole, list):
        if not isinstance(key, int) or isinstance(key, bool):
            raise Mistake("57", f"`{text}`: {word} is a list, and {name} is {key!r}{_at(scope)}.")
        if not 0 <= key < len(whole):
            raise Mistake("57", f"`{text}`: {word} has {_entries(whole)} and {name} is {key}{_at(scope)}.")
        return whole[key]
    if isinstance(whole, dict):
        if isinstance(key, (list, dict)) or str(key) not in whole:
            known = ", ".join(whole)
            raise Mistake("57", f"`{text}`: {word} has no entry {key!r}{_at(scope)}. Known: {known}.")
        return whole[str(key)]
    raise Mistake("57", f"`{text}`: {word} is {whole!r}, neither a list nor a mapping.")


def _entries(whole: Sequence[ScalarValue]) -> str:
    return "1 entry" if len(whole) == 1 else f"{len(whole)} entries"


def _evaluate_call(node: ast.Call, function: str, scope: Scope) -> Number:
    first = node.args[0]
    if isinstance(first, ast.Name):
        if function == "count":
            return scope.count(first.id)
        if function == "position":
            return scope.position(first.id)
        if function in ASSIGNMENTS:
            return _assign(node, function, first, scope)
    if function == "hash":
        return hash_values(*(_hashable(argument, node, scope) for argument in node.args))
    numbers = [_number(argument, node, scope) for argument in node.args]
    choose: dict[str, Callable[[Sequence[Number]], Number]] = {
        "min": min,
        "max": max,
        "floor": lambda one: math.floor(one[0]),
        "ceil": lambda one: math.ceil(one[0]),
    }
    return _checked(choose[function](numbers), node)


def _hashable(argument: ast.expr, node: ast.expr, scope: Scope) -> int | str:
    value = evaluate_node(argument, scope)
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise Mistake(
        "48", f"`{ast.unparse(node)}`: {ast.unparse(argument)} is {value!r}; hash takes whole numbers and texts."
    )


def _assign(node: ast.Call, function: str, first: ast.Name, scope: Scope) -> int:
    _whole(first, node, scope)
    members = _whole(node.args[1], node, scope) if len(node.args) > 1 else 0
    count = scope.count(first.id)
    under = f" under `{scope.prefix(first.id)}`" if isinstance(scope, PlacedScope) else ""
    misfit = explain_misfit(function, first.id, under, count, members)
    if misfit is not None:
        raise Mistake("56", f"{ast.unparse(node)}: {misfit}")
    return ASSIGNMENTS[function](scope.position(first.id), count, members)


def _whole(argument: ast.expr, node: ast.expr, scope: Scope) -> int:
    value = _number(argument, node, scope)
    if isinstance(value, float):
        raise Mistake(
            "48", f"`{ast.unparse(node)}`: {ast.unparse(argument)} is {value}{_at(scope)}, not a whole number."
        )
    return value
