"""A scalar with coordinates and the words of a site in, the scalar with only what it needs of them out."""

from __future__ import annotations

import ast

from lightning_tying.algebra.expression import ScalarMap
from lightning_tying.spec.evaluation import evaluate_node
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.names import is_coordinate
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.scope import ScalarValue, Scope


def has_coordinates(scalar: Scalar) -> bool:
    """Whether a scalar is computed for each cell."""
    return any(is_coordinate(word) for word in scalar.words)


def make_scalar_map(scalar: Scalar, scope: Scope) -> ScalarMap:
    """The map at one site: what is the same for all cells and more than a word is reckoned, words are kept.

    Args:
        scalar: as written.
        scope: the words of the site.

    Raises:
        Mistake: 46, 48, 49, 55 to 57, of a part that is reckoned.
    """
    fixed = _Fixed(scope)
    node = fixed.visit(ast.parse(scalar.text, mode="eval").body)
    names = {part.id: part for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in scalar.words}
    words = sorted(word for word in names if not is_coordinate(word))
    return ScalarMap(
        ast.unparse(node), tuple((word, _as_plain(evaluate_node(names[word], scope), word)) for word in words)
    )


class _Fixed(ast.NodeTransformer):
    """Puts numbers and texts in the place of entries, counts, positions and assignments."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return self._reckon(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if any(isinstance(part, ast.Name) and is_coordinate(part.id) for part in ast.walk(node)):
            node.args = [self.visit(argument) for argument in node.args]
            return node
        return self._reckon(node)

    def _reckon(self, node: ast.expr) -> ast.expr:
        value = _as_plain(evaluate_node(node, self._scope), ast.unparse(node))
        return ast.parse(repr(value), mode="eval").body


def _as_plain(value: ScalarValue, written: str) -> int | float | str:
    if isinstance(value, (list, dict)):
        raise Mistake("48", f"`{written}` is {value!r}; a map is reckoned with numbers and texts.")
    return value
