"""A graph and the parameters its sites have now in; the values the shared parameters start from, and a report, out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import Problem
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.initial.depth_scale import warn_depth_scale
from lightning_tying.lowering.initial.distances import InitialReport, report_distances
from lightning_tying.lowering.initial.draw import is_drawn
from lightning_tying.lowering.initial.draw_group import Drawer
from lightning_tying.lowering.initial.hashed_spread import warn_hashed_spread
from lightning_tying.lowering.initial.joint import find_brought, find_joint_uses, solve_joint
from lightning_tying.lowering.initial.reading_order import order_groups
from lightning_tying.lowering.initial.solve_group import SiteReader, solve_group
from lightning_tying.lowering.initial.turned_tables import solve_turned

__all__ = ["InitialReport", "InitialValues", "find_initial_values"]


@dataclass(frozen=True)
class InitialValues:
    """What a plan writes into its shared parameters.

    Args:
        values: by name, in the dtype and on the device of the parameter; one that keeps what it has is left out.
        pending: parameters on the meta device that get a value once they are real.
        report: how far the values are from the sites.
    """

    values: Mapping[ParameterName, Tensor]
    pending: frozenset[ParameterName]
    report: InitialReport


def find_initial_values(
    graph: SharingGraph, parameters: Mapping[str, nn.Parameter], folder: Path | None = None
) -> InitialValues:
    """Solve or draw the value of each group; nothing is written.

    Args:
        graph: with policies as they are to be carried out.
        parameters: what each site holds before the tie, by FQN; those that an init solves from too.
        folder: what the paths of calibration files are relative to; None for the working directory.

    Raises:
        ApplyError: a calibration file does not serve.
    """
    with torch.no_grad():
        settling = _Settling(graph, parameters, folder)
        settling.draw()
        settling.solve()
        remarks = _find_remarks(graph, parameters)
        report = report_distances(graph, parameters, settling.settled, remarks)
    return InitialValues(settling.values, settling.pending, report)


def _find_remarks(graph: SharingGraph, parameters: Mapping[str, nn.Parameter]) -> tuple[Problem, ...]:
    return (*warn_hashed_spread(graph, parameters), *warn_depth_scale(graph, parameters))


class _Settling:
    """Settles the groups of a graph one after the other: first the drawn, then those that a site reads, then the rest.

    Attributes:
        settled: the value of each group, as it will be: rounded to its dtype.
        values: those of them that have to be written.
        pending: groups that wait for a real device.
    """

    def __init__(self, graph: SharingGraph, parameters: Mapping[str, nn.Parameter], folder: Path | None) -> None:
        self._graph = graph
        self._parameters = parameters
        self._folder = folder
        self._drawer = Drawer(graph, parameters)
        self._groups = {group.name: group for group in graph.groups}
        self._joint = find_joint_uses(graph)
        self._brought = find_brought(graph, self._joint)
        self.settled: dict[ParameterName, Tensor] = {}
        self.values: dict[ParameterName, Tensor] = {}
        on_meta = any(parameters[derived.site].is_meta for derived in graph.derived)
        self._waiting = {group.name for group in graph.groups if self._is_on_meta(group, on_meta)}
        self.pending = frozenset(name for name in self._waiting if _gets_a_value(self._groups[name]))

    def _is_on_meta(self, group: SharingGroup, on_meta: bool) -> bool:
        if on_meta and not group.is_plain:
            return True
        return any(self._parameters[site].is_meta for site in (*group.sites, *group.policy.init_sites))

    def draw(self) -> None:
        """Settle all whose values come from a generator; those that share a variance come last."""
        drawn = [group for group in self._graph.groups if is_drawn(group.policy.init)]
        alone = [group for group in drawn if group.policy.init.kind != "variance"]
        together = [group for group in drawn if group.policy.init.kind == "variance"]
        for group in (*alone, *together):
            if group.name not in self._brought and group.name not in self._waiting:
                self._write(group, self._drawer.draw(group, self.settled))

    def solve(self) -> None:
        """Settle the others, in the order of section 8 of the language reference."""
        open_groups = [group for group in self._graph.groups if self._is_open(group)]
        if not open_groups:
            return
        reader = SiteReader(self._graph, self._parameters)
        plain = all(group.is_plain for group in open_groups)
        for group in open_groups if plain else order_groups(self._graph):
            if not self._is_open(group):
                continue
            if group.policy.init.kind == "svd_joint":
                self._solve_joint(group, reader)
            elif group.policy.init.kind == "procrustes":
                self._solve_turned(group, reader)
            if group.name not in self.settled:
                self._solve_alone(group, reader)

    def _is_open(self, group: SharingGroup) -> bool:
        return group.name not in self.settled and group.name not in self._waiting

    def _solve_joint(self, group: SharingGroup, reader: SiteReader) -> None:
        found = solve_joint(group, self._joint[group.name], reader.read, self.settled, self._folder) or {}
        for name, value in found.items():
            if name == group.name or (self._brought.get(name) == group.name and name not in self.settled):
                self._write(self._groups[name], value)

    def _solve_turned(self, group: SharingGroup, reader: SiteReader) -> None:
        for name, value in solve_turned(group, self._graph, reader.read, self.settled).items():
            if name not in self._waiting:
                self._write(self._groups[name], value)

    def _solve_alone(self, group: SharingGroup, reader: SiteReader) -> None:
        keeper = reader.find_keeper(group)
        if keeper is not None:
            self.settled[group.name] = keeper
            return
        found = solve_group(group, self._groups, reader, self.settled)
        for name, value in found.items():
            self._write(self._groups[name], value)
        if group.name not in self.settled:  # no fit reaches it
            self._write(group, self._drawer.draw_instead(group, self.settled))

    def _write(self, group: SharingGroup, value: Tensor) -> None:
        owner = self._parameters[group.owner]
        dtype = owner.dtype if group.policy.dtype is None else getattr(torch, group.policy.dtype)
        value = value.detach().reshape(group.meta.shape).to(device=owner.device, dtype=dtype).contiguous()
        self.settled[group.name] = self.values[group.name] = value


def _gets_a_value(group: SharingGroup) -> bool:
    """Whether a group needs a value of its own: it is drawn, or no site that keeps its parameter holds it."""
    return is_drawn(group.policy.init) or all(use.slot for use in group.uses)
