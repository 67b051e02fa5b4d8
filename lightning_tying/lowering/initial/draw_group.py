"""A graph and what its sites hold in; the values of each group that is drawn out, also of those drawn together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from torch import Tensor

from lightning_tying.algebra.expression import Expression, ParameterName
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.initial.draw import draw, fill_drawn, is_drawn, spread
from lightning_tying.lowering.initial.orthogonal_rows import draw_orthogonal_rows
from lightning_tying.lowering.initial.shared_variance import find_call, share_variance


class Drawer:
    """Draws the groups of one graph.

    Args:
        graph: whose groups they are.
        parameters: what each site holds before the tie, by FQN; the owner of a drawn group is read for `normal` alone
            and for `variance`.
    """

    def __init__(self, graph: SharingGraph, parameters: Mapping[str, Tensor]) -> None:
        self._graph = graph
        self._parameters = parameters

    def draw(self, group: SharingGroup, settled: Mapping[ParameterName, Tensor]) -> Tensor:
        """The values of a group whose init is one of those that `is_drawn`: float32, on the CPU.

        Args:
            group: of the graph.
            settled: what is drawn already; `variance` leaves room for what stands beside it.
        """
        match group.policy.init.kind:
            case "orthogonal_rows":
                return self._rows[group.name]
            case "variance":
                return fill_drawn(group, "normal", (self._share(group, settled),))
            case _:
                return draw(group, self._parameters[group.owner])

    def _share(self, group: SharingGroup, settled: Mapping[ParameterName, Tensor]) -> float:
        sigma = spread(self._parameters[group.owner])
        expression = self._expressions.get(group.owner)
        call = None if expression is None else find_call(expression, group.name)
        return sigma if call is None else share_variance(call, sigma, self._sharing, settled)

    @cached_property
    def _rows(self) -> Mapping[ParameterName, Tensor]:
        return draw_orthogonal_rows(self._graph)

    @cached_property
    def _expressions(self) -> Mapping[str, Expression]:
        return {derived.site: derived.expression for derived in self._graph.derived}

    @cached_property
    def _sharing(self) -> frozenset[ParameterName]:
        return frozenset(group.name for group in self._graph.groups if group.policy.init.kind == "variance")

    def draw_instead(self, group: SharingGroup, settled: Mapping[ParameterName, Tensor]) -> Tensor:
        """The values of a group that no fit reaches: by its own rule, else normal with its owner's deviation."""
        if is_drawn(group.policy.init):
            return self.draw(group, settled)
        return fill_drawn(group, "normal", (spread(self._parameters[group.owner]),))
