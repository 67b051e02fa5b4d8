"""How each shared parameter gets its first value: the rule by precedence, and the sites that it solves from (8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from lightning_tying.graph.matching.bind import BoundEntry
from lightning_tying.graph.parts import ParameterName, Site
from lightning_tying.graph.policies.drafts import Draft
from lightning_tying.graph.reading.own_parameters import find_policy_keys, pick
from lightning_tying.graph.report import Report, name_place
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import nearest_name
from lightning_tying.spec.schema import Equation, Init

FIRST = Init("first")
SOLVED = frozenset({"first", "mean", "stepwise", "site", "svd", "svd_joint", "procrustes", "match", "solved"})


def choose_inits(drafts: Sequence[Draft], find_declared: Callable[[Draft], Init | None], report: Report) -> None:
    """Set `init` of every draft (error 81).

    The first that applies: that of `parameters`, the equation's, `first` where a site reads it as it is, the default
    of the function that reads or brings it, `first`.
    """
    told: set[tuple[str, int, int]] = set()
    known: dict[tuple[str, tuple[int, ...]], Init | None] = {}
    for draft in drafts:
        declared = find_declared(draft)
        if declared is None and draft.brought is not None:
            declared = _find_own(draft)
        elif declared is None:
            family = draft.name.family
            key = (family, tuple([source.number for source in draft.sources]))
            if key not in known:
                known[key] = _agree_on_init(family, draft.sources, told, report)
            declared = known[key]
        draft.init = declared or _find_default(draft)


def _find_own(draft: Draft) -> Init | None:
    """What the equation says of a parameter that one of its functions brings."""
    entry, brought = draft.sources[0].entry, draft.brought
    if brought is None or not isinstance(entry, Equation):
        return None
    key = pick(find_policy_keys(brought.numbered, brought.function, brought.own), entry.init)
    return entry.init[key] if key is not None else None


def _find_default(draft: Draft) -> Init:
    if not draft.has_derived or draft.owner.is_bare:
        return FIRST
    return next((place.init for place in draft.places if place.init is not None), FIRST)


def _agree_on_init(
    family: str, sources: Sequence[BoundEntry], told: set[tuple[str, int, int]], report: Report
) -> Init | None:
    written = [(source, source.entry.init.get(family, source.entry.init.get(""))) for source in sources]
    chosen = [(source, init) for source, init in written if init is not None]
    if not chosen:
        return None
    first_source, first = chosen[0]
    for source, init in chosen[1:]:
        pair = (family, first_source.number, source.number)
        if init != first and pair not in told:
            told.add(pair)
            place = name_place(first_source.entry.location)
            text = f"`{family}` has init {first} at {place} and {init} here. Keep one, or write it under parameters."
            report.add("81", source.entry.location, text)
    return first


def choose_init_sites(drafts: Sequence[Draft], sites: Sequence[Site], root: str, report: Report) -> None:
    """Set `init_sites` of every draft; empty where the value is drawn (error 82)."""
    by_fqn: dict[str, Site] = {}
    for draft in drafts:
        match draft.init.kind:
            case "mean" | "svd_joint" | "procrustes":
                draft.init_sites = tuple([binding.site.fqn for binding in draft.bindings])
            case "first" | "stepwise" | "svd" | "match" | "solved":
                draft.init_sites = (draft.owner.site.fqn,)
            case "site":
                by_fqn = by_fqn or {site.fqn: site for site in sites}
                draft.init_sites = _find_named_site(draft, by_fqn, root, report)
            case _:
                draft.init_sites = ()
    _choose_stepwise(drafts)


def _choose_stepwise(drafts: Sequence[Draft]) -> None:
    """Members that differ only in the last whole number of the index are solved at sites spread over all of theirs.

    Bae et al. 2025 (Relaxed Recursive Transformers, "Stepwise"): with members j = 0 … M − 1 and the n sites
    that read them in model order, member j is solved at the site with number round(j(n − 1)/(M − 1)).
    """
    families: dict[tuple[object, ...], list[tuple[int, Draft]]] = {}
    for draft in drafts:
        if draft.init.kind != "stepwise" or len(draft.bindings) < 2:
            continue
        place = _find_last_number(draft.name)
        if place is not None:
            index = draft.name.index
            rest = (draft.name.family, place, index[:place], index[place + 1 :])
            families.setdefault(rest, []).append((int(index[place]), draft))
    for members in families.values():
        ordered = [draft for _, draft in sorted(members, key=lambda member: member[0])]
        bindings = [(binding.match.position, binding.site.fqn) for draft in ordered for binding in draft.bindings]
        spread = [fqn for _, fqn in sorted(bindings)]
        for j, draft in enumerate(ordered):
            draft.init_sites = (spread[_step(j, len(ordered), len(spread))],)


def _step(j: int, members: int, sites: int) -> int:
    return round(j * (sites - 1) / (members - 1)) if members > 1 else 0


def _find_last_number(name: ParameterName) -> int | None:
    return next((i for i in range(len(name.index) - 1, -1, -1) if isinstance(name.index[i], int)), None)


def _find_named_site(draft: Draft, by_fqn: Mapping[str, Site], root: str, report: Report) -> tuple[str, ...]:
    """The site that `site(…)` names, its captures replaced; nothing where it was refused."""
    template = str(draft.init.arguments[0]) if draft.init.arguments else ""
    try:
        fqn = _fill_captures(template, draft)
        _check_named_site(draft, by_fqn, f"{root}.{fqn}" if root else fqn)
    except Mistake as mistake:
        report.add(mistake.code, draft.sources[0].entry.location, f"site({template}): {mistake.text}")
        return ()
    return (f"{root}.{fqn}" if root else fqn,)


def _fill_captures(template: str, draft: Draft) -> str:
    fqn, family = template, draft.name.family
    for name in dict.fromkeys(re.findall(r"\{(\w+)\}", template)):
        values = {binding.match.captures.get(name) for binding in draft.bindings}
        if None in values:
            raise Mistake("82", f"{name} is not a capture in all uses of {family}. Write a number.")
        if len(values) > 1:
            raise Mistake("82", f"{name} is not the same in all uses of {family}. Write a number.")
        fqn = fqn.replace(f"{{{name}}}", str(values.pop()))
    return fqn


def _check_named_site(draft: Draft, by_fqn: Mapping[str, Site], fqn: str) -> None:
    site, shape = by_fqn.get(fqn), draft.owner.site.meta.shape
    if site is None:
        near = nearest_name(fqn, by_fqn)
        raise Mistake("82", "there is no such site." + (f" Nearest: {near}." if near else ""))
    if site.meta.shape != shape:
        reads = f"`{draft.name}`" if draft.owner.is_bare else draft.owner.site.fqn
        text = f"it is {list(site.meta.shape)}, and {reads} is {list(shape)}. Name a site of that shape."
        raise Mistake("82", text)
