"""All entries and policies of a spec in; what is wrong between them found, as far as no model is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lightning_tying.errors import Location
from lightning_tying.spec.findings import Findings, place_of
from lightning_tying.spec.names import SIZES
from lightning_tying.spec.nearest import edit_distance, suggest
from lightning_tying.spec.nodes import Entry, Equation, Init, Policy, Preset, Refused, Tie
from lightning_tying.spec.own_names import brings_parameters, family_names, is_named, own_names, with_own
from lightning_tying.spec.patterns import Pattern, read_pattern
from lightning_tying.spec.presets import names_of_preset, preset_name, shared_name
from lightning_tying.spec.values import Ref, Value


def check_spec(
    entries: Sequence[Entry],
    refused: Sequence[Refused],
    policies: Mapping[str, Policy],
    let: frozenset[str],
    found: Findings,
) -> None:
    """Find errors 47, 81, 85 to 87 and warning W3 among the entries that were read.

    Args:
        entries: those without a mistake of their own.
        refused: the others; what they may name is not told to be missing.
        policies: of the section `parameters`.
        let: the names of `let`.
        found: where mistakes and warnings go.
    """
    unsure = frozenset(word for entry in refused for word in entry.words)
    _check_places(entries, found)
    _check_inits(entries, policies, found)
    _check_penalties(entries, unsure, found)
    _check_presets(entries, found)
    _check_policies(entries, unsure, policies, let, found)
    _warn_of_near_names(entries, found)


def _check_places(entries: Sequence[Entry], found: Findings) -> None:
    """Error 47: a family has the same number of places in every equation."""
    first: dict[str, tuple[int, Location]] = {}
    for entry in entries:
        for name, places in dict.fromkeys(_families(entry)):
            before, line = first.setdefault(name, (places, entry.location))
            if before != places:
                there = f"{_count(before)} at {place_of(line)}"
                text = f"`{name}` has {_indices(places)} here and {there}. A family has the same number everywhere."
                found.add(entry.location, "47", text)


def _families(entry: Entry) -> Iterator[tuple[str, int]]:
    if isinstance(entry, Tie):
        yield from () if entry.name is None else ((entry.name, 0),)
    elif isinstance(entry, Equation):
        cores = [call.arguments[0] for call in entry.value.calls() if call.function == "tt" and call.arguments]
        for ref in entry.value.refs():  # `tt` adds one place of its own to its cores
            yield ref.name, len(ref.index) + any(ref is core for core in cores)


def _count(places: int) -> str:
    return "none" if places == 0 else str(places)


def _indices(places: int) -> str:
    return "no index" if places == 0 else "1 index" if places == 1 else f"{places} indices"


def _check_inits(entries: Sequence[Entry], policies: Mapping[str, Policy], found: Findings) -> None:
    """Error 81 for names without an index; of a family's members only the graph knows which are the same."""
    first: dict[str, tuple[Init, Location]] = {}
    for entry in entries:
        for name, init in _plain_inits(entry):
            if name in policies and policies[name].init is not None:
                continue
            before, line = first.setdefault(name, (init, entry.location))
            if before != init:
                both = f"`{name}` has init {before} at {place_of(line)} and {init} here."
                found.add(entry.location, "81", f"{both} Keep one, or write it under parameters.")


def _plain_inits(entry: Entry) -> Iterator[tuple[str, Init]]:
    if isinstance(entry, Tie) and entry.name is not None:
        yield from ((entry.name, init) for init in entry.init.values())
    elif isinstance(entry, Equation):
        for ref in dict.fromkeys(ref for ref in entry.value.refs() if not ref.index):
            init = entry.init.get(ref.name, entry.init.get(""))
            if init is not None:
                yield ref.name, init


def _check_penalties(entries: Sequence[Entry], unsure: frozenset[str], found: Findings) -> None:
    """Error 85: a penalty reads what sites hold, and its functions bring nothing."""
    equations = [entry for entry in entries if isinstance(entry, Equation)]
    held = {name for entry in equations if entry.penalty is None for name in family_names(entry.value)}
    held |= {entry.name for entry in entries if isinstance(entry, Tie) and entry.name is not None}
    held |= {name for entry in entries if isinstance(entry, Preset) for name in names_of_preset(entry)}
    held |= unsure
    for entry in equations:
        if entry.penalty is None:
            continue
        for ref in _first_refs(entry.value):
            if ref.name not in held:
                only = f"`{ref.text}` is read under `penalty` only, so no site holds it."
                found.add(entry.location, "85", f"{only} Bind it to a site in another equation.")
        for function in dict.fromkeys(call.function for call in entry.value.calls() if brings_parameters(call)):
            text = f"{function} brings parameters, so it cannot stand under `penalty`."
            found.add(entry.location, "85", text)


def _first_refs(value: Value) -> list[Ref]:
    firsts: dict[str, Ref] = {}
    for ref in value.refs():
        firsts.setdefault(ref.name, ref)
    return list(firsts.values())


def _check_presets(entries: Sequence[Entry], found: Findings) -> None:
    """Error 87: two presets under one name."""
    seen: set[str] = set()
    for entry in entries:
        if isinstance(entry, Preset):
            name = shared_name(entry)
            if name in seen:
                called = f"Two presets are called `{preset_name(entry)}`."
                found.add(entry.location, "87", f"{called} Give one of them as: ‹name›.")
            seen.add(name)


def _names_read(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, Equation):
            yield from own_names(entry.value)
        elif isinstance(entry, Preset):
            for name in names_of_preset(entry):
                yield from with_own(name)
        elif entry.name is not None:
            yield entry.name


def _check_policies(
    entries: Sequence[Entry],
    unsure: frozenset[str],
    policies: Mapping[str, Policy],
    let: frozenset[str],
    found: Findings,
) -> None:
    """Error 86, and the words of declared shapes."""
    names = dict.fromkeys(_names_read(entries))
    captures = {name for entry in entries for pattern in _patterns(entry) for name in pattern.captures}
    for key, policy in policies.items():
        if not is_named(key, frozenset(names)) and unsure.isdisjoint((key, _without_number(key.partition(".")[0]))):
            found.add(policy.location, "86", f"No equation reads `{key}`.{suggest(key, names)}")
        words = {word for size in policy.shape or () if size is not None for word in size.words}
        for word in sorted(words - captures - let - SIZES - unsure):
            hint = suggest(word, sorted(captures | let | SIZES))
            text = f"`{word}` is neither a capture ({_list(captures)}) nor a name of let ({_list(let)}).{hint}"
            found.add(policy.location, "46", text)


def _patterns(entry: Entry) -> tuple[Pattern, ...]:
    if not isinstance(entry, Preset):
        return entry.sites
    over = entry.arguments.get("over")
    return (read_pattern(over),) if isinstance(over, str) else ()


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _warn_of_near_names(entries: Sequence[Entry], found: Findings) -> None:
    """Warning W3: a name of one equation that is a slip of the pen away from another."""
    lines: dict[str, list[Location]] = {}
    for entry in entries:
        for name in dict.fromkeys(name for name, _ in _families(entry)):
            lines.setdefault(name, []).append(entry.location)
    order = {name: number for number, name in enumerate(lines)}
    alike = _group_alike(lines)
    for name, places in lines.items():
        others = {other for form in _shortened(name) for other in alike[form].values() if _is_slip(name, other)}
        near = min(others, key=order.__getitem__, default=None)
        if len(places) > 1 or near is None or (len(lines[near]) == 1 and order[near] > order[name]):
            continue  # of two names with one use each, the later one is the slip
        only, there = place_of(places[0]), place_of(lines[near][0])
        text = f"`{name}` is read in {only} only and is near `{near}` ({there}). Two parameters, or one?"
        found.warn(places[0], "W3", text)


def _group_alike(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Names by what is left when one letter is taken out: two that are one slip apart have such a form in common.

    Of names that differ in the digits at their end, such as `block1` and `block2`, each form keeps the first.
    """
    groups: dict[str, dict[str, str]] = {}
    for name in names:
        for form in _shortened(name):
            groups.setdefault(form, {}).setdefault(_without_number(name), name)
    return groups


def _shortened(name: str) -> set[str]:
    return {name, *(name[:i] + name[i + 1 :] for i in range(len(name)))} if len(name) < 100 else {name}


def _is_slip(name: str, other: str) -> bool:
    """Whether two names of some length differ in one letter; a digit tells `block1` and `block2` apart on purpose."""
    if min(len(name), len(other)) < 4 or _without_number(name) == _without_number(other):
        return False
    return edit_distance(name, other, 1) == 1


def _without_number(name: str) -> str:
    return name.rstrip("0123456789")
