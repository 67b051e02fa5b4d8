"""What each site asks of its tensor in; one cut for every sharing group out, or a refusal that names both sites."""

from __future__ import annotations

from collections.abc import Mapping, Set

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.parallel.tensor.values import CannotCut, Cut, LocalValue, cut_value

Cuts = dict[ParameterName, Cut]


def choose_cuts(
    graph: SharingGraph, demands: Mapping[str, Cut], plain: Set[str], size: int
) -> tuple[Cuts, dict[str, str]]:
    """Choose how each shared parameter is divided.

    Aliases decide; a derived site takes what it gets: its part from parts where they fit, else the whole value.

    Args:
        graph: of the plan.
        demands: the cut that the style of each site's module asks for.
        plain: the sites whose modules take ordinary tensors only.
        size: of the group of processes.

    Returns:
        The cut of each group, and for each derived site why it is not computed from parts (nothing if it is).

    Raises:
        ApplyError: two aliases of one group ask for different cuts, or one takes ordinary tensors only.
    """
    fixed: Cuts = {}
    for group in graph.groups:
        _check_plain(group, plain)
        aliases = [use.site for use in group.uses if not use.slot]
        if aliases:
            fixed[group.name] = _agree(group, aliases, demands)
    locals_: dict[str, LocalValue] = {}
    reasons: dict[str, str] = {}
    for derived in graph.derived:
        try:
            locals_[derived.site] = cut_value(derived.expression, demands[derived.site], size)
            reasons[derived.site] = ""
        except CannotCut as error:
            reasons[derived.site] = str(error)
    while True:
        chosen = _settle(graph, fixed, {site: each for site, each in locals_.items() if not reasons[site]}, reasons)
        lost = _find_lost(locals_, reasons, chosen)
        if not lost:
            return chosen, reasons
        reasons.update(lost)


def _settle(graph: SharingGraph, fixed: Cuts, locals_: Mapping[str, LocalValue], reasons: Mapping[str, str]) -> Cuts:
    """A group without an alias is divided when all its uses want the same parts."""
    chosen = dict(fixed)
    for group in graph.groups:
        if group.name not in chosen:
            wanted = {locals_[use.site].cuts[group.name] if not reasons[use.site] else None for use in group.uses}
            chosen[group.name] = wanted.pop() if len(wanted) == 1 else None
    return chosen


def _find_lost(locals_: Mapping[str, LocalValue], reasons: Mapping[str, str], chosen: Cuts) -> dict[str, str]:
    """The sites that cannot be computed from parts since one of their parameters is divided otherwise."""
    lost: dict[str, str] = {}
    for site, local in locals_.items():
        if not reasons[site]:
            for name, cut in local.cuts.items():
                if chosen[name] != cut:
                    lost[site] = f"`{name}` is divided otherwise, as its other uses ask"
    return lost


def _agree(group: SharingGroup, aliases: list[str], demands: Mapping[str, Cut]) -> Cut:
    first = aliases[0]
    for other in aliases[1:]:
        if demands[other] != demands[first]:
            raise ApplyError(
                f"`{group.name}`: tensor parallel would divide it {_show(demands[first])} for {first} and "
                f"{_show(demands[other])} for {other}, but it is one parameter. Choose styles that divide both "
                "alike (an embedding that is rowwise and a head that is colwise_gather do), or `replicate`."
            )
    return demands[first]


def _check_plain(group: SharingGroup, plain: Set[str]) -> None:
    kinds = {use.site in plain: use.site for use in group.uses}
    if len(kinds) == 2:
        raise ApplyError(
            f"`{group.name}`: {kinds[True]} takes ordinary tensors only, and {kinds[False]} a distributed one. Write "
            "the style `replicate` for the module of the first, or untie them."
        )


def _show(cut: Cut) -> str:
    return "not at all" if cut is None else f"along dimension {cut}"
