"""The sets of a sync and the sites of a model in; nothing out, or the `Mistake` in what would be synced (96, 98)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightning_tying.graph.parts import Site
from lightning_tying.graph.syncs.sync_sets import SyncPlan
from lightning_tying.spec.mistakes import Mistake


def check_sets(plan: SyncPlan, sites: Mapping[str, Site]) -> None:
    """Refuse sets whose sites have unlike shapes, or are one parameter.

    Args:
        plan: of one entry.
        sites: by FQN.

    Raises:
        Mistake: 96 or 98.
    """
    seen: dict[int, str] = {}
    for each in plan.sets:
        names = each.sites if plan.sync.file is not None else (*each.sites, *each.sources)
        _check_shapes(names, sites)
        _check_apart(names, sites)
        for fqn in each.sites if plan.members else ():
            first = seen.setdefault(sites[fqn].parameter, fqn)
            if first != fqn:
                text = f"{first} and {fqn} are one parameter, in two sets of this sync."
                raise Mistake("98", f"{text} Take one of them out with except.")


def _check_shapes(names: Sequence[str], sites: Mapping[str, Site]) -> None:
    first, *others = names
    for other in others:
        shape, shape_of_other = (list(sites[name].meta.shape) for name in (first, other))
        if shape != shape_of_other:
            text = f"{first} is {shape} and {other} is {shape_of_other}; a sync needs equal shapes."
            raise Mistake("96", f"{text} Take them out with except.")


def _check_apart(names: Sequence[str], sites: Mapping[str, Site]) -> None:
    seen: dict[int, str] = {}
    for name in names:
        first = seen.get(sites[name].parameter)
        if first is not None:
            said = f"{first} and {name} are one parameter already" if first != name else f"{name} is its own source"
            raise Mistake("98", f"{said}: nothing is left to sync.")
        seen[sites[name].parameter] = name
