"""Entries with `penalty` in, what each of their sites is compared with out (errors 84, 85)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lightning_tying.algebra.expression import Expression
from lightning_tying.graph.matching.bind import BoundEntry
from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.matching.words import Evaluator
from lightning_tying.graph.parts import ParameterName, Penalty
from lightning_tying.graph.reading.templates import Reading
from lightning_tying.graph.report import Report
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.schema import Equation, LetValue


@dataclass(frozen=True, slots=True)
class PenaltyReading:
    """One site of a penalty.

    Args:
        match: the site.
        reading: what it is compared with.
        weight: of the squared distance.
        source: the entry.
    """

    match: Match
    reading: Reading
    weight: float
    source: BoundEntry


def read_penalties(
    entries: Iterable[BoundEntry],
    held: Collection[ParameterName],
    unsure: Collection[str],
    let: Mapping[str, LetValue],
    report: Report,
) -> list[PenaltyReading]:
    """Evaluate the weights, and refuse what no site holds.

    Args:
        entries: those with `penalty`.
        held: the shared parameters that bound sites read.
        unsure: families that a refused entry names.
        let: the spec's names.
        report: takes the mistakes.
    """
    found: list[PenaltyReading] = []
    for source in entries:
        entry = source.entry
        if not isinstance(entry, Equation) or entry.penalty is None:
            continue
        weight_at = Evaluator(entry.penalty, let, source.matches)
        try:
            for match, reading in zip(source.matches, source.names, strict=False):
                if isinstance(reading, Reading):
                    _check_held(reading, held, unsure)
                    weight = _read_weight(weight_at.evaluate(match), entry.penalty, match)
                    found.append(PenaltyReading(match, reading, weight, source))
        except Mistake as mistake:
            report.add(mistake.code, entry.location, mistake.text)
    return found


def _check_held(reading: Reading, held: Collection[ParameterName], unsure: Collection[str]) -> None:
    for name in reading.parameters:
        if name not in held and name.family not in unsure:
            text = f"`{name}` is read under `penalty` only, so no site holds it."
            raise Mistake("85", f"{text} Bind it to a site in another equation.")


def _read_weight(value: object, written: Scalar, match: Match) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        shown = f"{value!r} at {match.fqn}" if written.words else value
        raise Mistake("84", f"`penalty` is a number of 0 or more, not {shown}.")
    return float(value)


def make_penalties(readings: Iterable[PenaltyReading], expressions: Iterable[Expression | None]) -> tuple[Penalty, ...]:
    """The penalties of a graph, in model order."""
    pairs = [(one, expression) for one, expression in zip(readings, expressions, strict=True) if expression is not None]
    pairs.sort(key=lambda pair: (pair[0].match.position, pair[0].weight, str(pair[1])))
    return tuple(
        [Penalty(one.match.site.fqn, expression, one.weight, one.source.entry.location) for one, expression in pairs]
    )
