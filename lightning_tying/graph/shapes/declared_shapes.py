"""Declared shapes and the sites that read a parameter in, what they say of it out (errors 46, 48, 49, 60, 84)."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from lightning_tying.algebra.partial_shapes import Partial, ShapeClash, meet
from lightning_tying.graph.matching.bind import Binding
from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.matching.words import Evaluator
from lightning_tying.graph.parts import ParameterName
from lightning_tying.graph.policies.drafts import Draft
from lightning_tying.graph.policies.policies import Policies
from lightning_tying.graph.report import Report
from lightning_tying.graph.shapes.shape_texts import write_shape
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.schema import LetValue, Policy


@dataclass(frozen=True)
class Declared:
    """What the section `parameters` says of shapes.

    Args:
        shapes: of each parameter that it speaks of.
        refused: the families of which it says what cannot be.
    """

    shapes: Mapping[ParameterName, Partial] = field(default_factory=dict[ParameterName, Partial])
    refused: Collection[str] = ()


def find_declared(drafts: Iterable[Draft], policies: Policies, let: Mapping[str, LetValue], report: Report) -> Declared:
    """Evaluate every declared shape at every site that reads its parameter; one mistake for each family."""
    reader = _ShapeReader(let)
    told: set[str] = set()
    found: dict[ParameterName, Partial] = {}
    for draft in drafts:
        policy = policies.find(draft)
        if policy.shape is None or draft.name.family in told:
            continue
        try:
            found[draft.name] = reader.read(draft, policy)
        except Mistake as mistake:
            told.add(draft.name.family)
            report.add(mistake.code, policy.location, mistake.text)
    return Declared(found, told)


class _ShapeReader:
    """Evaluates shapes; each size once for sites of one entry whose words are the same."""

    def __init__(self, let: Mapping[str, LetValue]) -> None:
        self._let = let
        self._evaluators: dict[tuple[int, int], Evaluator] = {}

    def read(self, draft: Draft, policy: Policy) -> Partial:
        """What is declared, the same at all sites."""
        shape: Partial = None
        first = draft.bindings[0]
        for binding in draft.bindings:
            sizes = tuple([self._evaluate(size, binding) for size in policy.shape or ()])
            if binding.is_bare:
                _compare(draft, sizes, binding)
            try:
                shape = meet(shape, sizes)
            except ShapeClash as clash:
                declared = f"{write_shape(clash.one)} at {first.site.fqn} and {write_shape(clash.other)}"
                text = f"`{draft.name}` is declared {declared} at {binding.site.fqn}."
                raise Mistake("60", f"{text} Give it an index, or a shape that is the same there.") from None
        return shape

    def _evaluate(self, size: Scalar | None, binding: Binding) -> int | None:
        if size is None:
            return None
        key = (id(size), binding.source.number)
        evaluator = self._evaluators.get(key)
        if evaluator is None:
            evaluator = self._evaluators[key] = Evaluator(size, self._let, binding.source.matches)
        return _as_size(evaluator.evaluate(binding.match), size, binding.match)


def _as_size(value: object, size: Scalar, match: Match) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    advice = ""
    if isinstance(size.node, ast.BinOp) and isinstance(size.node.op, ast.Div):
        floored = ast.BinOp(size.node.left, ast.FloorDiv(), size.node.right)
        advice = f" Write {ast.unparse(floored)}"
    text = f"A size in `shape` is a whole number of 0 or more; `{size.text}` is {value!r} at {match.fqn}.{advice}"
    raise Mistake("84", text)


def _compare(draft: Draft, declared: tuple[int | None, ...], binding: Binding) -> None:
    actual = binding.site.meta.shape
    pairs = zip(declared, actual, strict=False)
    if len(declared) != len(actual) or any(size is not None and size != other for size, other in pairs):
        found = f"`{draft.name}` is declared {write_shape(declared)} and is {list(actual)} at {binding.site.fqn}"
        raise Mistake("60", f"{found}. Leave `shape` out.")
