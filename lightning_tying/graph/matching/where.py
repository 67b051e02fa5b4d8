"""The sites of an equation in, those for which its `where` holds out (errors 33, 48; warning W7)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from lightning_tying.errors import Location
from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.matching.positions import Positions
from lightning_tying.graph.matching.words import Evaluator, SiteScope
from lightning_tying.graph.pictures.fold import fold_numbers
from lightning_tying.graph.report import Report
from lightning_tying.spec.evaluation import ScalarValue
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.schema import LetValue

SHOWN_VALUES = 4


def keep_where(
    condition: Scalar,
    matches: Sequence[Match],
    let: Mapping[str, LetValue],
    location: Location,
    report: Report,
    *,
    needed: bool = True,
) -> tuple[Match, ...]:
    """The matches for which the condition holds; none where it was refused, or where it leaves none if `needed`."""
    evaluator = Evaluator(condition, let, matches, module=True)
    kept: list[Match] = []
    for match in matches:
        try:
            if _as_condition(evaluator.evaluate(match), condition, match):
                kept.append(match)
        except Mistake as mistake:
            report.add(mistake.code, location, mistake.text)
            return ()
    if needed and matches and not kept:
        text = (
            f"`where: {condition.text}` leaves none of {len(matches)} sites.{_describe_words(condition, matches, let)}"
        )
        report.add("33", location, text)
    for text in _list_hopeless(condition, matches):
        report.warn("W7", location, text)
    return tuple(kept)


def _as_condition(value: ScalarValue, condition: Scalar, match: Match) -> bool:
    if isinstance(value, bool):
        return value
    text = f"`where: {condition.text}` is {value!r} at {match.fqn}, and a condition is true or false."
    raise Mistake("48", f"{text} Compare it with something.")


def _describe_words(condition: Scalar, matches: Sequence[Match], let: Mapping[str, LetValue]) -> str:
    """` l is 0 … 5.` for each word of the condition that differs from site to site."""
    positions = Positions(matches)
    scopes = [SiteScope(match, {}, positions, module=True).words for match in matches]
    words = [word for word in sorted(condition.words) if word not in let]
    told = (f" {word} is {_describe_values([scope[word] for scope in scopes if word in scope])}." for word in words)
    return "".join(told)


def _describe_values(values: Sequence[ScalarValue]) -> str:
    texts = sorted({value for value in values if isinstance(value, str)})
    numbers = sorted({value for value in values if isinstance(value, int)})
    shown = [repr(text) for text in texts[:SHOWN_VALUES]] + (["…"] if len(texts) > SHOWN_VALUES else [])
    if numbers:
        shown.insert(0, fold_numbers(numbers).replace("…", " … "))
    return " or ".join((", ".join(shown[:-1]), shown[-1])) if len(shown) > 1 else (shown or ["nowhere known"])[0]


def _list_hopeless(condition: Scalar, matches: Sequence[Match]) -> Iterator[str]:
    """Comparisons of a capture with a text that it never is (W7)."""
    for node in ast.walk(condition.node):
        match node:
            case (
                ast.Compare(left=ast.Name(id=word), ops=[ast.Eq()], comparators=[ast.Constant(value=str() as text)])
                | ast.Compare(left=ast.Constant(value=str() as text), ops=[ast.Eq()], comparators=[ast.Name(id=word)])
            ):
                values = [match.captures[word] for match in matches if word in match.captures]
                if values and text not in values:
                    yield f"`{ast.unparse(node)}` never holds: {word} is {_describe_values(values)}."
            case _:
                continue
