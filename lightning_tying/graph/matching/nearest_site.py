"""A pattern that matches nothing and the sites' FQNs in, the site that was probably meant out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from lightning_tying.spec.nearest import edit_distance, keep_alike
from lightning_tying.spec.patterns import Pattern

_NUMBER = re.compile(r"[0-9]+")
_HOLE = re.compile(r"\{[^{}]*\}")
_SPANNING = re.compile(r"\*\*|\{\w+\*\}")
_OPEN = re.compile(r"\*+|\{\w+(:int)?\}")
_ANY = "\0"  # stands for `**` and `{name*}`
_CANDIDATES = 200  # the distance is quadratic in the number of segments


def name_nearest_site(pattern: Pattern, fqns: Iterable[str]) -> str | None:
    """The site whose FQN is nearest to a pattern; FQNs that differ in numbers only count once.

    Segments are compared one by one: an open one (`{l}`, `*`) is like any, `**` and `{name*}` are like any number of
    them, and a written one costs its edit distance, or its length where it is missing. In all this may cost a third
    of the letters that were written.
    """
    segments = [_simplify(segment) for segment in _split(pattern.text)]
    written = "".join(segment for segment in segments if segment not in (_ANY, "*"))
    allowed = max(1, len(written) // 3)
    forms: dict[str, str] = {}
    for fqn in fqns:
        forms.setdefault(_NUMBER.sub("0", fqn), fqn)
    best = allowed + 1
    near: str | None = None
    for form in keep_alike(".".join(segments), forms, _CANDIDATES):
        cost = _distance(segments, form.split("."), best)
        if cost < best:
            best, near = cost, forms[form]
    return near


def _split(text: str) -> list[str]:
    """The segments of a pattern; a dot in a hole parts none."""
    hidden = _HOLE.sub(lambda hole: "x" * len(hole[0]), text)
    places = [-1, *(i for i, letter in enumerate(hidden) if letter == "."), len(text)]
    return [text[start + 1 : end] for start, end in pairwise(places)]


def _simplify(segment: str) -> str:
    """A segment as it is compared: `*` alone is any, a hole of alternatives is its first."""
    if _SPANNING.fullmatch(segment):
        return _ANY
    if _OPEN.fullmatch(segment):
        return "*"
    first = _HOLE.sub(lambda hole: hole[0].strip("{}").partition(":")[2].partition("|")[0] or "0", segment)
    return _NUMBER.sub("0", first.replace("*", ""))


def _distance(segments: Sequence[str], names: Sequence[str], limit: int) -> int:
    """The cheapest way from a pattern's segments to those of an FQN; `limit` or more where there is none below it."""
    row = [0]
    for name in names:
        row.append(row[-1] + len(name) + 1)
    for segment in segments:
        if segment == _ANY:
            row = _span(row)
            continue
        missing = 2 if segment == "*" else len(segment) + 1
        below = [row[0] + missing]
        for place, name in enumerate(names):
            alike = 0 if segment in ("*", name) else edit_distance(segment, name, limit)
            below.append(min(row[place] + alike, row[place + 1] + missing, below[-1] + len(name) + 1))
        row = below
        if min(row) >= limit:
            return limit
    return row[-1]


def _span(row: Sequence[int]) -> list[int]:
    """Any number of names for nothing."""
    cheapest: list[int] = []
    for cost in row:
        cheapest.append(min(cost, cheapest[-1]) if cheapest else cost)
    return cheapest
