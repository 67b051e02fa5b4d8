"""A scalar or a value and the patterns of its equation in; nothing out, or the `Mistake` that a word makes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lightning_tying.spec.equation_words import EquationWords
from lightning_tying.spec.expressions import unknown_size
from lightning_tying.spec.functions import FUNCTIONS
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.names import SIZES, is_coordinate
from lightning_tying.spec.nearest import suggest
from lightning_tying.spec.patterns import Pattern
from lightning_tying.spec.scalar_grammar import capture_message, is_of_a_capture
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.values import Call, Value

_OTHER_SIZES = frozenset({"out", "in_features", "out_features", "rows", "cols", "shape"})


@dataclass(frozen=True)
class WordCheck:
    """What the words of one equation can be.

    Args:
        patterns: of `sites`, `tie` or `over`.
        let: the names of `let`.
    """

    patterns: tuple[Pattern, ...]
    let: frozenset[str]

    @property
    def captures(self) -> tuple[str, ...]:
        """The holes of all patterns, each once."""
        return tuple(dict.fromkeys(name for pattern in self.patterns for name in pattern.captures))

    @property
    def words(self) -> EquationWords:
        sites = tuple(pattern.text for pattern in self.patterns)
        return EquationWords(frozenset(self.captures), self.let, sites)

    def check_holes(self) -> None:
        """Refuse a hole that is a name of `let`.

        Raises:
            Mistake: 53.
        """
        for name in self.captures:
            if name in self.let:
                raise Mistake("53", f"`{name}` is a name of let and cannot also be a hole.")

    def check_value(self, value: Value) -> None:
        """Check every scalar of a value.

        Raises:
            Mistake: 23, 46, 52, 55.
        """
        for part in value.walk():
            maps = _maps_of(part) if isinstance(part, Call) else ()
            for scalar in part.scalars:
                self.check_scalar(scalar, coordinates=any(scalar is one for one in maps))
            for scalar in maps:
                _check_map(scalar)

    def check_scalar(self, scalar: Scalar, *, coordinates: bool = False, module: bool = False) -> None:
        """Check the words of one scalar.

        Args:
            scalar: what was read.
            coordinates: whether it is a map, which knows `i0`, `i1`, ….
            module: whether it is a `where`, which knows `module`.

        Raises:
            Mistake: 46, 52, 55.
        """
        for word in _in_order(scalar):
            if word in self.let or word in SIZES or word == "site" or (word == "module" and module):
                continue
            if is_coordinate(word) and coordinates:
                continue
            self._check_capture(word)
        for call in _calls_of_captures(scalar):
            if isinstance(call.args[0], ast.Name) and call.args[0].id not in self.captures:
                raise Mistake("55", capture_message(call))

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse names that are not captures of every pattern, such as those of `site(…)`.

        Raises:
            Mistake: 46.
        """
        for name in names:
            self._check_capture(name)

    def _check_capture(self, word: str) -> None:
        without = [pattern.text for pattern in self.patterns if word not in pattern.captures]
        if not without:
            return
        if len(without) < len(self.patterns):
            text = f"In a list of patterns: `{word}` is used, and `{without[0]}` has no hole `{word}`."
            raise Mistake("46", text)
        if is_coordinate(word):
            raise Mistake("46", f"`{word}` is a coordinate of a cell, and only a map has them: rows(T, {word} // 4).")
        if word == "module":
            raise Mistake("46", "`module` is the class name of a site's module, and is read in where only.")
        if word in _OTHER_SIZES:
            raise unknown_size(word)
        captures, let = ", ".join(self.captures) or "none", ", ".join(sorted(self.let)) or "none"
        hint = suggest(word, (*self.captures, *sorted(self.let), *sorted(SIZES)))
        raise Mistake("46", f"`{word}` is neither a capture ({captures}) nor a name of let ({let}).{hint}")


def _in_order(scalar: Scalar) -> Sequence[str]:
    """The words of a scalar in the order of its text, so that the first wrong one is named."""
    names = (node for node in ast.walk(scalar.node) if isinstance(node, ast.Name) and node.id in scalar.words)
    return [node.id for node in sorted(names, key=lambda node: (node.lineno, node.col_offset))]


def _calls_of_captures(scalar: Scalar) -> list[ast.Call]:
    calls = (node for node in ast.walk(scalar.node) if isinstance(node, ast.Call))
    return [call for call in calls if is_of_a_capture(call)]


def _maps_of(call: Call) -> tuple[Scalar, ...]:
    """The arguments that are maps; a function of the user's own may have them anywhere."""
    signature = FUNCTIONS.get(call.function)
    if signature is None:
        return call.scalars
    given = [part for i, part in enumerate(call.arguments) if signature.kind_at(i) == "map"]
    named = [scalar for keyword, scalar in call.keywords if keyword == "map"]
    return (*(part for part in given if isinstance(part, Scalar)), *named)


def _check_map(scalar: Scalar) -> None:
    for node in ast.walk(scalar.node):
        if isinstance(node, (ast.And, ast.Or, ast.Not)):
            sign = type(node).__name__.lower()
            raise Mistake("23", f"`{scalar.text}`: `{sign}` is not read in a map. Multiply comparisons instead.")
