"""Per-use gradients of a model with members in; one gradient for each member, the sum over its uses, out.

Members are the modules `models.‹member›` of a joint training; a use belongs to the member below which its place is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks.arithmetic import as_whole
from lightning_tying.gradients.sinks.exact import ExactSink
from lightning_tying.gradients.sinks.measuring import MeasuringSink
from lightning_tying.gradients.sinks.sketch import SketchSink
from lightning_tying.gradients.sinks.streaming import StreamingSink
from lightning_tying.gradients.statistics import UseStatistics

MODELS = "models"


@dataclass(slots=True)
class _Held:
    """What the uses of one member have added in this backward pass.

    Args:
        left: how many uses are still to come.
        total: the sum of those that have come.
    """

    left: int
    total: Tensor | None = None


def name_member(key: UseKey) -> UseKey:
    """A use in; its member out, as a use of the place `models.‹member›`. A use outside of all members stays."""
    first, _, rest = key.place.partition(".")
    member = rest.partition(".")[0].partition(" ")[0]
    return UseKey(key.group, f"{MODELS}.{member}") if first == MODELS and member else key


class ByMember(MeasuringSink):
    """Goes in front of a sink, which is then handed one gradient for each member and backward pass.

    While a backward pass runs, one copy of the shared parameter is held for each member with several uses.
    """

    _held: dict[UseKey, _Held] | None = None

    @override
    def begin(self, keys: Iterable[UseKey]) -> None:
        self._hand_over()
        members = [name_member(key) for key in keys]
        self._held = {member: _Held(members.count(member)) for member in dict.fromkeys(members)}
        super().begin(self._held)

    @override
    def add(self, key: UseKey, gradient: Tensor) -> None:
        member = name_member(key)
        held = None if self._held is None else self._held.get(member)
        if self._held is None or held is None:
            super().add(member, gradient)
            return
        held.left -= 1
        whole = as_whole(gradient)
        if held.total is None:
            held.total = whole if held.left == 0 else whole.clone()  # autograd may go on adding to this tensor
        else:
            held.total.add_(whole)
        if held.left == 0:
            del self._held[member]
            super().add(member, held.total)

    @override
    def add_site(self, key: UseKey, gradient: Tensor) -> None:
        """Sites of different shapes have no sum; what counts for a member is what it adds to the parameter."""

    @override
    def finish(self, scale: float = 1.0) -> dict[ParameterName, UseStatistics]:
        """As any sink's; the uses are members."""
        self._hand_over()
        return super().finish(scale)

    def _hand_over(self) -> None:
        """Hand over what came only in part: some uses got no gradient at all."""
        held, self._held = self._held, None
        for member, each in (held or {}).items():
            if each.total is not None:
                super().add(member, each.total)


class MemberExact(ByMember, ExactSink):
    """`ExactSink` by member."""


class MemberSketch(ByMember, SketchSink):
    """`SketchSink` by member."""


class MemberStreaming(ByMember, StreamingSink):
    """`StreamingSink` by member."""
