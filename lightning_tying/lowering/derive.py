"""A graph, places and initial values in; the parameters and parametrizations of a tie out, not in use yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ApplyError, TieBroken
from lightning_tying.graph.ir import DerivedSite, SharingGraph, SharingGroup
from lightning_tying.lowering.causes import explain_undone
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import Slot, find_slots
from lightning_tying.lowering.runtime.parametrize import find_value
from lightning_tying.lowering.runtime.site_value import SiteValue


@dataclass(frozen=True)
class Prepared:
    """What a tie puts into a module.

    Args:
        keepers: the one `nn.Parameter` of each group.
        values: for each derived place, once though it may have two FQNs, what computes it.
    """

    keepers: Mapping[ParameterName, nn.Parameter]
    values: tuple[tuple[Slot, SiteValue], ...]


def prepare(graph: SharingGraph, slots: Mapping[str, Slot], initial: Mapping[ParameterName, Tensor]) -> Prepared:
    """Make all that is new in a tied module; the module is not touched.

    Args:
        graph: of the plan.
        slots: of all its sites, which still have parameters of their own.
        initial: values by name; a group whose keeper is a site may do without.

    Raises:
        ApplyError: two FQNs of one tensor would be computed differently.
    """
    keepers = {group.name: _make_keeper(group, slots, initial.get(group.name)) for group in graph.groups}
    factors = find_factors(graph) if graph.derived else {}
    chosen: dict[tuple[int, str], DerivedSite] = {}
    values: list[tuple[Slot, SiteValue]] = []
    for derived in graph.derived:
        slot = slots[derived.site]
        before = chosen.setdefault(slot.place, derived)
        if before is derived:
            values.append((slot, _make_value(derived, slot.read().dtype, keepers, factors[derived.site])))
        elif before.expression != derived.expression:
            raise ApplyError(
                f"{before.site} and {derived.site} are one tensor, and the plan computes them differently."
            )
    return Prepared(keepers, tuple(values))


def find_factors(graph: SharingGraph) -> dict[str, tuple[float, ...]]:
    """By derived site, the factors of the gradients that its slots get, in their order."""
    by_place = {
        (use.site, use.slot): group.gradient_factor(use) for group in graph.groups for use in group.uses if use.slot
    }
    return {
        derived.site: tuple([by_place[derived.site, slot.name] for slot in derived.expression.slots])
        for derived in graph.derived
    }


def find_values(graph: SharingGraph, root: nn.Module) -> Iterator[tuple[DerivedSite, Slot, SiteValue | None]]:
    """Every derived site of a tied module with what computes it; None where that is gone.

    Raises:
        TieBroken: the path of a site leads to no module.
    """
    slots = find_slots(root, (derived.site for derived in graph.derived))
    for derived in graph.derived:
        slot = slots[derived.site]
        yield derived, slot, find_value(slot.module, slot.name)


def find_places(plan: Plan, root: nn.Module) -> dict[str, Slot]:
    """Every place of a plan's parameters in a module that it has been applied to.

    Raises:
        TieBroken: a derived site is not computed any more, or the path of a place leads to no module.
    """
    for derived, slot, value in find_values(plan.graph, root):
        if value is None:
            raise TieBroken(explain_undone(derived.site, slot.module))
    return find_slots(root, plan.places)


def refresh_factors(graph: SharingGraph, root: nn.Module) -> None:
    """Let every derived site have the gradient factors of a graph with other uses than before."""
    factors = find_factors(graph)
    for derived, _, value in find_values(graph, root):
        if value is not None:
            value.factors = factors[derived.site]


def _make_keeper(group: SharingGroup, slots: Mapping[str, Slot], value: Tensor | None) -> nn.Parameter:
    """The parameter of the owner's site where that is an alias, else a new one, made trainable or not later."""
    site = slots[group.owner].read()
    if not group.uses[0].slot:
        return site
    dtype = site.dtype if group.policy.dtype is None else getattr(torch, group.policy.dtype)
    fresh = torch.empty(group.meta.shape, dtype=dtype, device=site.device)
    if not site.is_meta:
        source = site if value is None else value
        if source.shape != fresh.shape:
            raise ApplyError(f"`{group.name}` is {list(fresh.shape)} and has no initial value of that shape.")
        with torch.no_grad():
            fresh.copy_(source)
    return nn.Parameter(fresh)


def _make_value(
    derived: DerivedSite,
    dtype: torch.dtype,
    keepers: Mapping[ParameterName, nn.Parameter],
    factors: tuple[float, ...],
) -> SiteValue:
    parameters = [keepers[name] for name in derived.expression.parameters]
    return SiteValue(derived.expression, factors, parameters, dtype, keep=derived.keep)
