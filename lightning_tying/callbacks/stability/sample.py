"""What the sinks have of a sampled step in; one record for each sharing group out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.callbacks.stability.watch import GroupWatch
from lightning_tying.callbacks.stability.window import Part
from lightning_tying.errors import ApplyError
from lightning_tying.gradients.sinks.by_member import MemberExact, MemberSketch, MemberStreaming
from lightning_tying.gradients.sinks.exact import ExactSink
from lightning_tying.gradients.sinks.sink import Sink
from lightning_tying.gradients.sinks.sketch import SketchSink
from lightning_tying.gradients.sinks.streaming import StreamingSink
from lightning_tying.gradients.statistics import UseStatistics
from lightning_tying.reports.stability.record import Pairs, Record, make_record
from lightning_tying.reports.stability.rows import RowNumbers

SKETCH = 1024  # numbers in a projection: a cosine is off by 0.044 or less (standard deviation)


def make_sink(pairs: Pairs, tables: Collection[ParameterName] = (), *, by_member: bool = False) -> Sink:
    """A sink for one step.

    Args:
        pairs: how cosines are found.
        tables: groups of which single rows are measured.
        by_member: whether the uses of a member of a joint training are one.
    """
    if by_member and pairs == "exact":
        return MemberExact(sum_sketch=SKETCH, tables=tables)
    if by_member:
        sketch = MemberSketch(SKETCH, tables=tables)
        return sketch if pairs == "sketch" else MemberStreaming(sum_sketch=SKETCH, tables=tables)
    if pairs == "exact":
        return ExactSink(sum_sketch=SKETCH, tables=tables)
    return SketchSink(SKETCH, tables=tables) if pairs == "sketch" else StreamingSink(sum_sketch=SKETCH, tables=tables)


def take_records(
    step: int,
    found: Mapping[ParameterName, UseStatistics],
    watches: dict[str, GroupWatch],
    max_uses: int,
    rows: Mapping[str, Mapping[str, RowNumbers]],
) -> list[Record]:
    """Make the records, and remember the sample.

    Args:
        step: of the optimizer.
        found: what the sink gave.
        watches: of the groups, by name; those of new ones are added.
        max_uses: groups with more have no pairs.
        rows: of tables, by their names.
    """
    records: list[Record] = []
    for name, given in found.items():
        numbers = replace(given, gram=None) if len(given.keys) > max_uses else given
        watch = watches.setdefault(str(name), GroupWatch())
        over_time = watch.running.update(numbers)
        records.append(make_record(step, str(name), numbers, over_time=over_time, rows=rows.get(str(name))))
    return records


def check_part(part: Part, unscale: float, automatic: bool) -> None:
    """Compare the sums over uses with `.grad`, where the part has them.

    Args:
        part: of an optimizer that is going to step.
        unscale: what per-use gradients are multiplied by to be in the units of `.grad`.
        automatic: whether Lightning runs the backward pass; a training step that does may put more into `.grad` than
            one step's gradients, and is told so.

    Raises:
        ApplyError: the uses of a group do not add up to its gradient.
    """
    if part.check is None:
        return
    for name, parameter in part.parameters.items():
        try:
            part.check.check(name, parameter.grad, unscale)
        except ApplyError as error:
            if automatic:
                raise
            rank_zero_warn(f"GradientStability: {error}")
