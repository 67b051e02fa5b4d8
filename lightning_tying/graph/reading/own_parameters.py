"""What functions bring: their numbers in a value, the names of their parameters, and who brings them (error 59)."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.graph.matching.bind import BoundEntry
from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.reading.templates import Reading
from lightning_tying.graph.report import Report, name_place
from lightning_tying.spec.own_names import brings_parameters
from lightning_tying.spec.values import Value


def number_functions(value: Value) -> dict[int, str]:
    """For each call that brings parameters (by its `id`) its function, the second call of one as `low_rank2`."""
    seen: Counter[str] = Counter()
    numbered: dict[int, str] = {}
    for call in value.calls():
        if brings_parameters(call):
            name = call.function.rpartition(".")[2]
            seen[name] += 1
            numbered[id(call)] = name if seen[name] == 1 else f"{name}{seen[name]}"
    return numbered


def check_brought(entries: Iterable[BoundEntry], report: Report) -> None:
    """Refuse a parameter that the functions of two equations bring (error 59); told once for each pair."""
    first: dict[ParameterName, tuple[BoundEntry, Match]] = {}
    told: set[tuple[int, int]] = set()
    for entry in entries:
        for match, reading in zip(entry.matches, entry.names, strict=False):
            if not isinstance(reading, Reading):
                continue
            for place, name in zip(reading.template.places, reading.parameters, strict=True):
                if place.call is None:
                    continue
                other, there = first.setdefault(name, (entry, match))
                if other is not entry and (other.number, entry.number) not in told:
                    told.add((other.number, entry.number))
                    member = ParameterName(reading.template.functions[place.call], name.index)
                    advice = _separate(reading.template.nodes[place.call].text, there.fqn, match.fqn)
                    text = (
                        f"{member} is brought by two equations, here and at {name_place(other.entry.location)}. "
                        f"For one delta put both patterns into one equation; for two leave the index out or {advice}"
                    )
                    report.add("59", entry.entry.location, text)


def _separate(written: str, first: str, second: str) -> str:
    """`add a text: low_rank(8)['k', l]`, the text being the first segment in which the two sites differ."""
    pairs = zip(first.split("."), second.split("."), strict=False)
    text = next((later for earlier, later in pairs if earlier != later), "other")
    node = ast.parse(written, mode="eval").body
    if not isinstance(node, ast.Subscript):
        return "write another equation."
    places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    index = ", ".join((repr(text), *(ast.unparse(place) for place in places)))
    return f"add a text: {ast.unparse(node.value)}[{index}]"


def find_policy_keys(name: str, function: str, own: str) -> tuple[str, ...]:
    """The keys that speak of an own parameter, the longest first: `low_rank2.A`, `low_rank2`, `low_rank`.

    Args:
        name: the function numbered in its value, `low_rank2`.
        function: as it is called, `low_rank` or an import path.
        own: the parameter, `A`.
    """
    short = function.rpartition(".")[2]
    keys = {f"{name}.{own}", name, short, function, f"{function}.{own}"}
    return tuple(sorted(keys, key=lambda key: (-len(key), key)))


def pick(keys: Iterable[str], given: Mapping[str, object]) -> str | None:
    """The first of the keys that is given."""
    return next((key for key in keys if key in given), None)
