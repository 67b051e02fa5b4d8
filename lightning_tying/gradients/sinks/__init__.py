"""Sinks: per-use gradients in, statistics out; they differ in what they keep, what they send and what is exact."""

from lightning_tying.gradients.sinks.exact import ExactSink
from lightning_tying.gradients.sinks.sink import Sink
from lightning_tying.gradients.sinks.sketch import SketchSink
from lightning_tying.gradients.sinks.streaming import StreamingSink

__all__ = ["ExactSink", "Sink", "SketchSink", "StreamingSink"]
