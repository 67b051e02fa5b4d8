"""A scalar such as `cycle_rev(l, K)` in, a `Scalar` out; and with the words of a site, its value."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from lightning_tying.spec.evaluation import evaluate_node
from lightning_tying.spec.expressions import parse_expression
from lightning_tying.spec.scalar_grammar import check_scalar, words_of
from lightning_tying.spec.scope import ScalarValue, Scope


@dataclass(frozen=True)
class Scalar:
    """A scalar that has been read; equal when the canonical texts are.

    Args:
        text: as `ast.unparse` writes it.
        node: its syntax tree, of the nodes that section 4 of the language reference allows.
        words: the names that it uses, without those of functions.
    """

    text: str
    node: ast.expr = field(compare=False, repr=False)
    words: frozenset[str] = field(compare=False, repr=False)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return read_scalar, (self.text,)

    def __str__(self) -> str:
        return self.text


def read_scalar(text: str) -> Scalar:
    """Read a scalar by the grammar of section 4 of the language reference.

    Raises:
        Mistake: 22 to 24, 40, 41, 43, 52, 55: what is wrong and what to write.
    """
    return make_scalar(parse_expression(text))


def make_scalar(node: ast.expr) -> Scalar:
    """A scalar of a part of a syntax tree; raises what `read_scalar` raises."""
    check_scalar(node)
    return Scalar(ast.unparse(node), node, words_of(node))


def evaluate(scalar: Scalar, scope: Scope) -> ScalarValue:
    """The value of a scalar at one site.

    Args:
        scalar: what was read.
        scope: the words of the site, and its position among the equation's sites.

    Raises:
        Mistake: 46, 48, 49, 56, 57, without a place: who asks knows it.
    """
    return evaluate_node(scalar.node, scope)


__all__ = ["Scalar", "ScalarValue", "Scope", "evaluate", "make_scalar", "read_scalar"]
