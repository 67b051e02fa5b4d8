"""The sites of an equation in, the name of the shared parameter that each reads out (errors 46 to 50, 55 to 57)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence

from lightning_tying.errors import Location
from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.matching.words import Evaluator
from lightning_tying.graph.parts import ParameterName
from lightning_tying.graph.report import Report
from lightning_tying.spec.evaluation import ScalarValue
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.schema import LetValue
from lightning_tying.spec.values import Ref

Place = int | str
Index = tuple[Place, ...]


def name_parameters(
    ref: Ref, matches: Sequence[Match], let: Mapping[str, LetValue], location: Location, report: Report
) -> list[ParameterName] | None:
    """One name for each match, equal names being one object; None where an index was refused."""
    name_at = compile_name(ref, matches, let)
    try:
        return [name_at(match) for match in matches]
    except Mistake as mistake:
        report.add(mistake.code, location, mistake.text)
        return None


def compile_name(ref: Ref, matches: Sequence[Match], let: Mapping[str, LetValue]) -> Callable[[Match], ParameterName]:
    """The function from a site to the name of what it reads; it raises the mistakes 46 to 50 and 55 to 57."""
    places = [_compile_place(scalar, matches, let) for scalar in ref.index]
    known: dict[Index, ParameterName] = {}

    def name_at(match: Match) -> ParameterName:
        index = tuple([place(match) for place in places])
        name = known.get(index)
        if name is None:
            name = known[index] = ParameterName(ref.name, index)
        return name

    return name_at


def compile_index(
    scalars: Sequence[Scalar], matches: Sequence[Match], let: Mapping[str, LetValue]
) -> Callable[[Match], Index]:
    """The function from a site to an index."""
    places = [_compile_place(scalar, matches, let) for scalar in scalars]
    return lambda match: tuple([place(match) for place in places])


def _compile_place(scalar: Scalar, matches: Sequence[Match], let: Mapping[str, LetValue]) -> Callable[[Match], Place]:
    """The function from a site to one place of the index; a bare capture is looked up at once."""
    word = scalar.node.id if isinstance(scalar.node, ast.Name) else ""
    if word and all(word in pattern.captures for pattern in {match.pattern for match in matches}):
        return lambda match: match.captures[word]
    evaluator = Evaluator(scalar, let, matches)
    return lambda match: _as_place(evaluator.evaluate(match), scalar, match)


def _as_place(value: ScalarValue, scalar: Scalar, match: Match) -> Place:
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        return value
    kinds = {"float": "a real number", "bool": "true or false", "list": "a list", "dict": "a mapping"}
    kind = kinds[type(value).__name__]
    advice = ""
    if isinstance(scalar.node, ast.BinOp) and isinstance(scalar.node.op, ast.Div):
        floored = ast.BinOp(scalar.node.left, ast.FloorDiv(), scalar.node.right)
        advice = f" Write {ast.unparse(floored)}"
    text = f"`{scalar.text}` is {value!r}, {kind}, at {match.fqn}; an index is a whole number or a text.{advice}"
    raise Mistake("50", text)
