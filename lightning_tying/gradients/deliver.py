"""The uses of one backward pass in; each one's gradient, whole and once, handed to a sink while it runs.

Hooks look at what a node gives to the edges that end at a shared parameter. They return nothing, so that the backward
pass computes what it would without them, unless a use is to be scaled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.autograd_reads import Gradients, Node
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.name_uses import Use
from lightning_tying.gradients.sinks.sink import Sink

Scale = Callable[[UseKey], float]


@dataclass(slots=True, eq=False)
class _Pending:
    """A use some of whose reads have not given their gradient yet."""

    key: UseKey
    left: int
    factor: float
    total: Tensor | None = None
    own: bool = False

    def take(self, gradient: Tensor | None) -> None:
        self.left -= 1
        if gradient is None:
            return
        if self.total is None:
            self.total = gradient  # held and not written to: autograd may go on adding to this very tensor
        elif self.own:
            self.total += gradient
        else:
            self.total, self.own = self.total + gradient, True


class Delivery:
    """The hooks of one backward pass.

    Args:
        uses: to catch.
        ends: the nodes that get the sum over all uses, with the group of each.
        sink: takes the gradients; None for nobody.
        scale: by what the gradient of a use is multiplied after it was caught; None for nothing.
    """

    def __init__(
        self,
        uses: Sequence[Use],
        ends: Iterable[tuple[ParameterName, Node]],
        sink: Sink | None,
        scale: Scale | None = None,
    ) -> None:
        self._sink = sink
        self._lock = threading.Lock()  # every device has a thread of its own in the backward pass
        self._pending: list[_Pending] = []
        self._handles: list[RemovableHandle] = []
        by_node: dict[Node, dict[int, _Pending]] = {}
        for use in uses:
            pending = _Pending(use.key, len(use.reads), 1.0 if scale is None else scale(use.key))
            self._pending.append(pending)
            for read in use.reads:
                by_node.setdefault(read.node, {})[read.index] = pending
        self._handles += [node.register_hook(self._make_hook(edges)) for node, edges in by_node.items()]
        if sink is not None:
            sink.begin([pending.key for pending in self._pending])
            self._handles += [
                use.value[0].register_prehook(self._make_site(use.key, use.value[1], sink))
                for use in uses
                if use.value is not None
            ]
            self._handles += [node.register_prehook(self._make_end(group, sink)) for group, node in ends]

    def close(self, completed: bool) -> None:
        """Take the hooks away, and hand over what came only in part: some reads got no gradient at all."""
        for handle in self._handles:
            handle.remove()
        for pending in self._pending:
            if completed and pending.left > 0:
                pending.left = 0
                self._hand_over(pending)

    def _make_hook(self, edges: Mapping[int, _Pending]) -> Callable[[Gradients, Gradients], Gradients | None]:
        scaled = {index: pending.factor for index, pending in edges.items() if pending.factor != 1}

        def hook(gradients: Gradients, of_outputs: Gradients) -> Gradients | None:
            del of_outputs
            with torch.no_grad(), self._lock:
                for index, pending in edges.items():
                    pending.take(gradients[index])
                    if pending.left == 0:
                        self._hand_over(pending)
            return _multiply(gradients, scaled) if scaled else None

        return hook

    def _make_end(self, group: ParameterName, sink: Sink) -> Callable[[Gradients], None]:
        def hook(gradients: Gradients) -> None:
            if gradients[0] is not None:
                with torch.no_grad(), self._lock:
                    sink.add_sum(group, gradients[0])

        return hook

    def _make_site(self, key: UseKey, output: int, sink: Sink) -> Callable[[Gradients], None]:
        def hook(gradients: Gradients) -> None:
            gradient = gradients[output]
            if gradient is not None:
                with torch.no_grad(), self._lock:
                    sink.add_site(key, gradient)

        return hook

    def _hand_over(self, pending: _Pending) -> None:
        total, pending.total = pending.total, None
        if total is not None and self._sink is not None:
            self._sink.add(pending.key, total)


def _multiply(gradients: Gradients, factors: Mapping[int, float]) -> Gradients:
    return tuple(
        each if each is None or index not in factors else each * factors[index] for index, each in enumerate(gradients)
    )
