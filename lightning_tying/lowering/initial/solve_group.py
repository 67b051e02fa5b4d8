"""A group that takes its value from sites in; its value, and what was solved together with it, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import Expression, ParameterName, Read
from lightning_tying.algebra.fits.estimate import Estimate, Pool
from lightning_tying.algebra.fits.solve import Settled, solve_expression
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.initial.distances import widen

_TOGETHER = frozenset({"first", "svd", "solved"})  # one fit at one site may settle several of these at once


class SiteReader:
    """What each site reads, and what it holds.

    Args:
        graph: says what each site reads.
        parameters: what each site holds before the tie, by FQN.
    """

    def __init__(self, graph: SharingGraph, parameters: Mapping[str, nn.Parameter]) -> None:
        self._expressions = {derived.site: derived.expression for derived in graph.derived}
        self._parameters = parameters

    def read(self, site: str) -> Tensor:
        """What a site holds, in the dtype to solve in: float64 where the device has it."""
        parameter = self._parameters[site].detach()
        return widen(parameter) if parameter.device.type == "mps" else parameter.to(torch.float64)

    def read_as_it_is(self, site: str) -> nn.Parameter:
        """The parameter of a site."""
        return self._parameters[site]

    def find_expression(self, group: SharingGroup, site: str) -> Expression:
        """What a site reads; a site that is no use of the group stands for its first use."""
        if site not in group.sites:
            first = self._expressions.get(group.owner)
            fits = first is not None and first.shape == tuple(self._parameters[site].shape)
            return first if first is not None and fits else Read(group.meta.shape, group.name)
        return self._expressions.get(site) or Read(group.meta.shape, group.name)

    def find_keeper(self, group: SharingGroup) -> Tensor | None:
        """The parameter that stays as it is: the owner's, where the group is solved from it alone."""
        if group.uses[0].slot:
            return None
        owner = self._parameters[group.owner]
        keeps = all(self._parameters[site] is owner for site in find_init_sites(group))
        return owner if keeps else None


def find_init_sites(group: SharingGroup) -> Sequence[str]:
    """The sites that a group is solved from, in order."""
    return group.policy.init_sites or (group.sites if group.policy.init.kind == "mean" else (group.owner,))


def solve_group(
    group: SharingGroup, groups: Mapping[ParameterName, SharingGroup], reader: SiteReader, settled: Settled
) -> dict[ParameterName, Tensor]:
    """Solve a group from its sites by undoing what they read.

    `mean` is the mean over all of them, cell by cell over all cells that read a cell. Any other rule takes the first
    site; a cell that nothing reads there has its value from the next use that does, and 0 where none does.

    Args:
        group: to solve.
        groups: all, by name.
        reader: the sites.
        settled: what is known.

    Returns:
        The group's value, and those of open groups with the same rule that one fit gave with it (A and B of
        `low_rank`). Empty where no fit reaches the group.
    """
    sites = find_init_sites(group)
    if group.is_plain:
        return {group.name: _average([reader.read_as_it_is(site) for site in sites])}
    if group.policy.init.kind == "mean":
        pool = Pool()
        for site in sites:
            for name, estimate in _solve_at(group, site, reader, settled):
                if name == group.name:
                    pool.add(estimate)
        return {} if pool.is_empty else {group.name: pool.value}
    return _solve_first(group, groups, sites, reader, settled)


def _solve_first(
    group: SharingGroup,
    groups: Mapping[ParameterName, SharingGroup],
    sites: Sequence[str],
    reader: SiteReader,
    settled: Settled,
) -> dict[ParameterName, Tensor]:
    pools: dict[ParameterName, Pool] = {}
    for name, estimate in _solve_at(group, sites[0], reader, settled):
        if name == group.name or _goes_along(groups[name], group):
            pools.setdefault(name, Pool()).fill(estimate)
    if group.name not in pools:
        return {}
    for site in (*sites[1:], *(each for each in group.sites if each not in sites)):
        if pools[group.name].is_complete:
            break
        for name, estimate in _solve_at(group, site, reader, settled):
            if name == group.name:
                pools[name].fill(estimate)
    return {name: pool.value for name, pool in pools.items() if name == group.name or pool.is_complete}


def _goes_along(other: SharingGroup, group: SharingGroup) -> bool:
    """Whether a fit of `group` at its site may settle `other` too: its rule would solve it from the same site."""
    kinds = {other.policy.init.kind, group.policy.init.kind}
    return kinds <= _TOGETHER and find_init_sites(other)[0] == find_init_sites(group)[0]


def _solve_at(
    group: SharingGroup, site: str, reader: SiteReader, settled: Settled
) -> list[tuple[ParameterName, Estimate]]:
    expression = reader.find_expression(group, site)
    if isinstance(expression, Read):
        return [(group.name, Estimate(reader.read(site)))]
    return solve_expression(expression, group.name, Estimate(reader.read(site)), settled)


def _average(sources: Sequence[Tensor]) -> Tensor:
    if len(sources) == 1:
        return sources[0].detach().clone()
    total = widen(sources[0]).clone()
    for source in sources[1:]:
        total += source.detach().to(total.dtype)  # float8 is not promoted
    return total / len(sources)
