"""What the sinks have of a sampled step in; one record for each sharing group out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.callbacks.stability_watch import GroupWatch
from lightning_tying.gradients.sinks.exact import ExactSink
from lightning_tying.gradients.sinks.sink import Sink
from lightning_tying.gradients.sinks.sketch import SketchSink
from lightning_tying.gradients.sinks.streaming import StreamingSink
from lightning_tying.gradients.statistics import UseStatistics
from lightning_tying.reports.stability.record import Pairs, Record, make_record

SKETCH = 1024  # numbers in a projection: a cosine is off by 0.044 or less (standard deviation)


def make_sink(pairs: Pairs) -> Sink:
    """A sink for one step.

    Args:
        pairs: how cosines are found.
    """
    if pairs == "exact":
        return ExactSink(sum_sketch=SKETCH)
    return SketchSink(SKETCH) if pairs == "sketch" else StreamingSink(sum_sketch=SKETCH)


def take_records(
    step: int,
    found: Mapping[ParameterName, UseStatistics],
    watches: dict[str, GroupWatch],
    max_uses: int,
) -> list[Record]:
    """Make the records, and remember the sample.

    Args:
        step: of the optimizer.
        found: what the sink gave.
        watches: of the groups, by name; those of new ones are added.
        max_uses: groups with more have no pairs.
    """
    records: list[Record] = []
    for name, given in found.items():
        numbers = replace(given, gram=None) if len(given.keys) > max_uses else given
        watch = watches.setdefault(str(name), GroupWatch())
        records.append(make_record(step, str(name), numbers, over_time=watch.running.update(numbers)))
    return records
