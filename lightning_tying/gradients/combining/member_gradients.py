"""The gradients of members of a joint training in; a combination of members other than their sum in `.grad` out.

As multi-task aggregators are meant: a member's gradient is that of all shared parameters together, and each member
gets one weight. What is a member's own keeps its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from typing_extensions import override

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.combining.combine import UniformWeights, WeighedGradients, is_usable, take_first
from lightning_tying.gradients.combining.weights import Weigh
from lightning_tying.gradients.sinks.by_member import MemberExact, MemberStreaming
from lightning_tying.gradients.sinks.exact import ExactSink
from lightning_tying.gradients.statistics import UseStatistics


class UniformMembers(UniformWeights):
    """All members weigh the same, by how many read a shared parameter."""

    @override
    def make_sink(self) -> MemberStreaming:
        """A sink for the backward passes of one step."""
        return MemberStreaming()


class WeighedMembers(WeighedGradients):
    """Members are weighed by the inner products of their gradients over all parameters that two of them share.

    Args:
        make_weigh: makes what gives weights from inner products; called once.
    """

    def __init__(self, make_weigh: Callable[[], Weigh]) -> None:
        super().__init__(make_weigh)
        self._members_weigh = make_weigh()

    @override
    def make_sink(self) -> MemberExact:
        """A sink for the backward passes of one step."""
        return MemberExact()

    @override
    def write(self, sink: ExactSink, parameters: Mapping[ParameterName, Tensor], unscale: float = 1.0) -> None:
        """Change `.grad` of all groups, or of none where a gradient is not finite. As for `WeighedGradients.write`."""
        found = {
            group: numbers
            for group, numbers in sink.finish(1 / unscale).items()
            if len(numbers.keys) > 1 and parameters[group].grad is not None
        }
        if not found or not all(each.gram is not None and is_usable(each, each.gram) for each in found.values()):
            return
        names = sorted({key.place for numbers in found.values() for key in numbers.keys})
        gram = add_products(names, found)
        weights = dict(zip(names, take_first(self._members_weigh(gram), _device(parameters)), strict=True))
        for group in found:
            gradient = parameters[group].grad
            for key, each in sink.gradients[group].items():
                if gradient is not None and weights[key.place] != 1:
                    gradient.add_(each.to(gradient.dtype), alpha=(weights[key.place] - 1) * unscale)


def combine_members(
    combination: UniformWeights | WeighedGradients | None,
) -> UniformWeights | WeighedGradients | None:
    """The same rule for members in place of uses; None, the sum, stays."""
    if isinstance(combination, WeighedGradients):
        return WeighedMembers(combination.make_weigh)
    return None if combination is None else UniformMembers(combination.weight)


def add_products(names: list[str], found: Mapping[ParameterName, UseStatistics]) -> Tensor:
    """The inner products of the members' whole gradients: those of the groups, added up.

    Args:
        names: of the members, in the order of rows and columns.
        found: the numbers of each group, its uses the members that read it.

    Returns:
        [members, members], float64.
    """
    total = torch.zeros(len(names), len(names), dtype=torch.float64)
    for numbers in found.values():
        if numbers.gram is not None:
            places = torch.tensor([names.index(key.place) for key in numbers.keys])
            total[places[:, None], places[None, :]] += numbers.gram.to("cpu", torch.float64)
    return total


def _device(parameters: Mapping[ParameterName, Tensor]) -> torch.device:
    return next(iter(parameters.values())).device
