"""Readings of sites in, expressions with whole shapes out: the whole of shape inference for one spec."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lightning_tying.algebra.expression import Call, Expression, ParameterName, Shape
from lightning_tying.algebra.partial_shapes import is_whole, whole
from lightning_tying.graph.matching.bind import Binding
from lightning_tying.graph.policies.drafts import Draft
from lightning_tying.graph.reading.penalties import PenaltyReading
from lightning_tying.graph.reading.templates import Reading, write_expression
from lightning_tying.graph.report import Report
from lightning_tying.graph.shapes.choose_shapes import infer_all
from lightning_tying.graph.shapes.declared_shapes import Declared
from lightning_tying.graph.shapes.infer_shapes import Inference, Origin, Reader
from lightning_tying.graph.shapes.local_shapes import LocalShapes


@dataclass(frozen=True)
class Inferred:
    """What shape inference found.

    Args:
        expressions: of each derived site that was not refused, by its FQN.
        penalties: the expression of each penalty, in their order; None for one that was refused.
        shapes: of each parameter that was looked at and is known.
    """

    expressions: Mapping[str, Expression]
    penalties: tuple[Expression | None, ...]
    shapes: Mapping[ParameterName, Shape]


def infer_expressions(
    bindings: Iterable[Binding],
    penalties: Sequence[PenaltyReading],
    drafts: Iterable[Draft],
    declared: Declared,
    report: Report,
) -> Inferred:
    """Infer all shapes of a spec together (errors 60 to 70, 75, 77).

    Args:
        bindings: in model order.
        penalties: what penalties compare with.
        drafts: of the sharing groups.
        declared: what `parameters` says.
        report: takes the mistakes.
    """
    readers = [
        Reader(binding.name, binding.site.fqn, binding.source)
        for binding in bindings
        if isinstance(binding.name, Reading)
    ]
    compared = [Reader(one.reading, one.match.site.fqn, one.source) for one in penalties]
    if not readers and not compared:
        return Inferred({}, (), {})
    inference = Inference([*readers, *compared], report)
    for draft in drafts:
        if draft.has_derived or compared:
            _say(inference, draft, declared)
    infer_all(inference)
    return _write_all(inference, readers, compared)


def _say(inference: Inference, draft: Draft, declared: Declared) -> None:
    """What a site that reads a parameter as it is says of it, else what is declared."""
    owner = draft.owner
    origin = Origin(owner.site.fqn, owner.source.entry.location)
    if owner.is_bare:
        inference.say(draft.name, owner.site.meta.shape, origin)
    elif draft.name in declared.shapes:
        inference.say(draft.name, declared.shapes[draft.name], replace(origin, declared=True))
    elif draft.name.family in declared.refused:
        inference.refused.add(draft.name)


def _write_all(inference: Inference, readers: Sequence[Reader], compared: Sequence[Reader]) -> Inferred:
    found = {id(reader): inference.find(reader) for reader in inference.active}
    found = {key: shapes for key, shapes in found.items() if all(map(is_whole, (*shapes.nodes, *shapes.places)))}
    cells = _count_cells(readers, found)
    expressions = {reader.site: _write(reader, found[id(reader)], cells) for reader in readers if id(reader) in found}
    penalties = [_write(reader, found[id(reader)], cells) if id(reader) in found else None for reader in compared]
    shapes = {name: whole(shape) for name, shape in inference.shapes.items() if is_whole(shape)}
    return Inferred(expressions, tuple(penalties), shapes)


def _count_cells(readers: Iterable[Reader], found: Mapping[int, LocalShapes]) -> dict[Expression, int]:
    """For each argument of a `project` how many cells all sites read that read it so."""
    cells: dict[Expression, int] = {}
    for reader in readers:
        for number, node in enumerate(reader.reading.template.nodes):
            if _is_projection(node.expression) and id(reader) in found:
                argument = write_expression(reader.reading, start=node.children[0])
                cells[argument] = cells.get(argument, 0) + math.prod(whole(found[id(reader)].nodes[number]))
    return cells


def _is_projection(expression: Expression) -> bool:
    return isinstance(expression, Call) and expression.function == "project"


def _write(reader: Reader, found: LocalShapes, cells: Mapping[Expression, int]) -> Expression:
    def add_cells(number: int, call: Call) -> Call:
        if not _is_projection(call):
            return call
        argument = write_expression(reader.reading, start=reader.reading.template.nodes[number].children[0])
        return replace(call, arguments=(*call.arguments, ("cells", cells.get(argument, math.prod(call.shape)))))

    nodes = [whole(shape) for shape in found.nodes]
    return write_expression(reader.reading, nodes, [whole(shape) for shape in found.places], add_cells)
