"""The option `grad` of an entry in, the rule of each of its uses out (errors 46, 48, 49, 55 to 57, 83)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lightning_tying.graph.matching.bind import Binding, BoundEntry
from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.matching.words import Evaluator
from lightning_tying.graph.parts import GradientRule
from lightning_tying.graph.report import Report
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.schema import LetValue

SUM = GradientRule()


class GradientRules:
    """What each use adds to the gradient of what its equation names.

    Args:
        entries: all that bind sites.
        let: the spec's names.
        report: takes the mistakes, one for each entry.
    """

    def __init__(self, entries: Iterable[BoundEntry], let: Mapping[str, LetValue], report: Report) -> None:
        self._fixed = {entry.number: GradientRule(entry.entry.grad.kind) for entry in entries}
        self._scales: dict[int, Evaluator] = {}
        self._report = report
        for entry in entries:
            if entry.entry.grad.scale is not None:
                self._scales[entry.number] = Evaluator(entry.entry.grad.scale, let, entry.matches)
        self.plain = not self._scales and all(rule == SUM for rule in self._fixed.values())

    def find(self, binding: Binding) -> GradientRule:
        """The rule of one use."""
        source = binding.source
        scale = self._scales.get(source.number)
        if scale is None:
            return self._fixed[source.number]
        try:
            return GradientRule("scale", _evaluate(scale, binding.match))
        except Mistake as mistake:
            self._report.add(mistake.code, source.entry.location, mistake.text)
            del self._scales[source.number]
            return SUM


def _evaluate(scale: Evaluator, match: Match) -> float:
    value = scale.evaluate(match)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        text = f"`grad: {{scale: {scale.scalar.text}}}` is {value!r} at {match.fqn}, and a scale is a number."
        raise Mistake("83", text)
    return float(value)
