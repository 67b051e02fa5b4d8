"""What a value reads wrongly in, the `Mistake` that says what to write instead out."""

from __future__ import annotations

import ast
import re

from lightning_tying.spec.equation_words import EquationWords
from lightning_tying.spec.functions import FUNCTIONS, Signature
from lightning_tying.spec.mistakes import Mistake, quote_text
from lightning_tying.spec.names import check_name
from lightning_tying.spec.scalar_grammar import SCALAR_SIGNATURES
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.values import Ref, Value

_SIGNS: dict[type[ast.AST], str] = {
    ast.Pow: "**", ast.FloorDiv: "//", ast.Mod: "%", ast.Not: "not", ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<",
    ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in", ast.NotIn: "not in", ast.And: "and", ast.Or: "or",
    ast.BitOr: "|", ast.BitAnd: "&", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>", ast.Is: "is",
    ast.IsNot: "is not", ast.Invert: "~",
}  # fmt: skip


def site_on_the_right(fqn: str, words: EquationWords) -> Mistake:
    """Error 39: an FQN where a shared parameter is named."""
    sites = ", ".join((*words.sites, fqn))
    return Mistake("39", f"`{fqn}` is a site, and a right side names shared parameters. Write tie: [{sites}]")


def index_of_nothing(
    node: ast.Call, signature: Signature, index: tuple[Scalar, ...], arguments: tuple[Value | Scalar, ...]
) -> Mistake:
    """Error 45: an index after a function without own parameters; it goes to the name inside, where there is one."""
    message = f"`{signature.name}` brings nothing of its own, so no index follows it."
    plain = next((part.text for part in arguments if isinstance(part, Ref) and not part.index), None)
    if plain is None:
        return Mistake("45", message)
    member = f"{plain}[{', '.join(scalar.text for scalar in index)}]"
    written = re.sub(rf"\b{plain}(?=[,)])", member, ast.unparse(node), count=1)
    return Mistake("45", f"{message} Write {written}")


def check_parameter(word: str) -> None:
    """Refuse a word that cannot name a shared parameter.

    Raises:
        Mistake: 22, or 42 for the name of a function.
    """
    if word in FUNCTIONS or word in SCALAR_SIGNATURES:
        written = str(FUNCTIONS[word]) if word in FUNCTIONS else SCALAR_SIGNATURES[word][0]
        raise Mistake("42", f"`{word}` is a function. Write {written}, or give the shared parameter another name.")
    check_name(word)


def numbers_only(node: ast.expr, operator: ast.AST) -> Mistake:
    """Error 54: an operator that tensors do not have."""
    sign = _SIGNS.get(type(operator), "+")
    return Mistake("54", f"{quote_text(ast.unparse(node))}: `{sign}` is for numbers only.")


def no_value(node: ast.expr) -> Mistake:
    """Error 23: a text, a list or a truth where a tensor or a number is needed."""
    text = quote_text(ast.unparse(node))
    return Mistake("23", f"{text} is no value. A value is made of shared parameters and numbers.")


def part_of_a_tensor(base: ast.expr, dim: int, place: ast.Slice) -> Mistake:
    """Error 51: `W[0:32]`, which is written with `slice`."""
    start = "0" if place.lower is None else ast.unparse(place.lower)
    stop = f"d{dim}" if place.upper is None else ast.unparse(place.upper)
    along = f", dim={dim}" if dim else ""
    written = f"slice({ast.unparse(base)}, {start}, {stop}{along})"
    return Mistake("51", f"An index names a member of a family. A part of a tensor is {written}.")
