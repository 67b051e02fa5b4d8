"""A syntax tree in; nothing out, or the `Mistake` that names the first node that scalars do not have."""

from __future__ import annotations

import ast
import math

from lightning_tying.spec.assignments import ASSIGNMENTS
from lightning_tying.spec.mistakes import Mistake, quote_text
from lightning_tying.spec.names import check_name, is_reserved
from lightning_tying.spec.nearest import suggest

LARGEST = 1 << 63
SCALAR_SIGNATURES: dict[str, tuple[str, int, int | None]] = {  # as it is written; fewest and most arguments
    "min": ("min(a, b, …)", 1, None),
    "max": ("max(a, b, …)", 1, None),
    "floor": ("floor(a)", 1, 1),
    "ceil": ("ceil(a)", 1, 1),
    "hash": ("hash(a, b, …)", 1, None),
    "count": ("count(l)", 1, 1),
    "position": ("position(l)", 1, 1),
    "cycle": ("cycle(l, M)", 2, 2),
    "sequence": ("sequence(l, M)", 2, 2),
    "cycle_rev": ("cycle_rev(l, M)", 2, 2),
    "sandwich": ("sandwich(l)", 1, 1),
    "middle_cycle": ("middle_cycle(l, M)", 2, 2),
    "middle_sequence": ("middle_sequence(l, M)", 2, 2),
}
_OF_A_CAPTURE = frozenset({*ASSIGNMENTS, "count", "position"})
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)


def check_scalar(tree: ast.expr) -> None:
    """Refuse every node that section 4 of the language reference does not have.

    Raises:
        Mistake: 22, 23, 41, 43, 55.
    """
    waiting: list[ast.expr] = [tree]
    while waiting:
        waiting += _check_node(waiting.pop())


def _check_node(node: ast.expr) -> list[ast.expr]:
    """Check one node; what is below it, the last to be checked first."""
    match node:
        case ast.Constant():
            check_constant(node)
            below: list[ast.expr] = []
        case ast.Name(id=word):
            check_word(word)
            below = []
        case ast.Call(func=ast.Name(id=function)):
            _check_call(node, function)
            below = node.args
        case ast.Subscript(value=ast.Name() as base, slice=place):
            below = [base, place]
        case ast.BoolOp(values=parts) | ast.List(elts=parts):
            below = parts
        case _:
            below = _operands(node)
    return below[::-1]


def _operands(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            return [operand]
        case ast.BinOp(op=operator) if isinstance(operator, _OPERATORS):
            return [node.left, node.right]
        case ast.Compare(ops=ops) if all(isinstance(op, _COMPARISONS) for op in ops):
            return [node.left, *node.comparators]
        case _:
            raise unreadable(node)


def words_of(tree: ast.expr) -> frozenset[str]:
    """The names that a scalar uses; what stands before a `(` is no name."""
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in functions)


def check_word(word: str) -> None:
    """Refuse a word that no scalar can use."""
    if not is_reserved(word):
        check_name(word)


def check_constant(node: ast.Constant) -> None:
    """Refuse numbers without meaning here, and constants of Python's that the language does not have."""
    value: object = node.value
    if isinstance(value, float) and not math.isfinite(value):
        raise Mistake("23", "Cannot read a real number this large.")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise Mistake("23", f"{quote_text(str(value), 24)} is too large: whole numbers stay within ±2⁶³.")
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise unreadable(node)


def unreadable(node: ast.expr) -> Mistake:
    """Error 23 for a node that Python has and the language has not."""
    text = quote_text(ast.unparse(node))
    match node:
        case ast.IfExp():
            return Mistake("23", f"Cannot read {text}: a value has no condition. Write two equations with where.")
        case ast.Slice() | ast.Tuple():
            return Mistake("23", f"Cannot read {text} here: write a list in brackets, [a, b].")
        case ast.Call():
            return Mistake("23", f"Cannot read {text}: functions are called by their names.")
        case ast.Attribute():
            return Mistake("23", f"Cannot read {text}: a name has no dot here.")
        case _:
            return Mistake("23", f"Cannot read {text}: it is Python and not of this language.")


def _check_call(node: ast.Call, function: str) -> None:
    if function not in SCALAR_SIGNATURES:
        known = ", ".join(sorted(SCALAR_SIGNATURES))
        hint = suggest(function, SCALAR_SIGNATURES)
        raise Mistake("41", f"Unknown function `{function}`.{hint} Known in a number: {known}.")
    written, fewest, most = SCALAR_SIGNATURES[function]
    if node.keywords:
        raise Mistake("44", f"{function} has no argument `{node.keywords[0].arg}`. {written}")
    given = len(node.args)
    if given < fewest or (most is not None and given > most):
        raise Mistake("43", count_message(written, fewest, given))
    first = node.args[0]
    if function in _OF_A_CAPTURE and not isinstance(first, ast.Name):
        raise Mistake("55", capture_message(node))


def count_message(written: str, takes: int, given: int) -> str:
    """Write error 43, `low_rank(r) takes 1 argument; 2 are given`."""
    arguments = "1 argument" if takes == 1 else f"{takes} arguments"
    return f"{written} takes {arguments}; {given} {'is' if given == 1 else 'are'} given."


def is_of_a_capture(node: ast.Call) -> bool:
    """Whether a call is `count`, `position` or a layer assignment, whose first argument is a capture."""
    return isinstance(node.func, ast.Name) and node.func.id in _OF_A_CAPTURE


def capture_message(node: ast.Call) -> str:
    """Error 55: `The first argument of cycle_rev is a capture. Write cycle_rev(l, 3)`."""
    function, first = ast.unparse(node.func), node.args[0]
    message = f"The first argument of {function} is a capture."
    names = sorted(words_of(first))
    if len(names) != 1 or isinstance(first, ast.Name):
        return message
    others = "".join(f", {ast.unparse(argument)}" for argument in node.args[1:])
    return f"{message} Write {function}({names[0]}{others})"
