"""The parts of a pattern in; a function from a dot-closed FQN to its different sets of captures, two at most, out.

The law is dynamic programming over (part, position). Where a regular expression gives the same answer in less
time it is used instead; none is used that could backtrack without bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

from lightning_tying.spec.pattern_parts import Hole, Part, Segments, Star, Text

Values: TypeAlias = tuple[int | str, ...]
Matcher: TypeAlias = Callable[[str], tuple[Values, ...]]
_LONGEST_NUMBER = 4000  # digits that Python turns into a number without complaint
_MOST_OPEN = 3  # a regular expression with k open parts takes up to length ** k steps
_LONGEST_FQN = 200


def make_matcher(parts: tuple[Part, ...]) -> Matcher:
    """The fastest way of matching that is safe for these parts."""
    if is_determined(parts):
        return _match_determined(re.compile("".join(part.regex for part in parts)))
    open_parts = [part for part in parts if not isinstance(part, Text)]
    starred = any("*" in choice for part in open_parts if isinstance(part, Hole) for choice in part.alternatives)
    if len(open_parts) > _MOST_OPEN or starred:
        return lambda fqn: match_parts(parts, fqn)
    return _match_extremes(parts)


def is_determined(parts: Iterable[Part]) -> bool:
    """Whether an FQN leaves no choice: one part that spans segments at most, and one open part in each segment."""
    spanning, open_parts = 0, 0
    for part in parts:
        if isinstance(part, Text):
            open_parts = 0 if "." in part.text else open_parts
            continue
        if isinstance(part, Hole) and any(choice.count("*") > 1 for choice in part.alternatives):
            return False
        open_parts += not isinstance(part, Segments)
        spanning += _spans_segments(part)
        if open_parts > 1 or spanning > 1:
            return False
    return True


def _spans_segments(part: Part) -> bool:
    if isinstance(part, Hole):
        return part.kind == "segments" or any("." in choice for choice in part.alternatives)
    return isinstance(part, Segments)


def _match_determined(regex: re.Pattern[str]) -> Matcher:
    def match(fqn: str) -> tuple[Values, ...]:
        hit = regex.fullmatch(fqn)
        return () if hit is None else (tuple([_read_capture(text) for text in hit.groups()]),)

    return match


def _match_extremes(parts: tuple[Part, ...]) -> Matcher:
    """The longest and the shortest choice, part by part, are the ends of all matches in lexicographic order.

    Where both are the same there is one match; where they differ, the sets of captures are counted.
    """
    longest = re.compile("".join(_write_group(part, "") for part in parts))
    shortest = re.compile("".join(_write_group(part, "?") for part in parts))
    places = [
        i for i, part in enumerate(part for part in parts if not isinstance(part, Text)) if isinstance(part, Hole)
    ]

    def match(fqn: str) -> tuple[Values, ...]:
        if len(fqn) > _LONGEST_FQN:
            return match_parts(parts, fqn)
        first = longest.fullmatch(fqn)
        if first is None:
            return ()
        last = shortest.fullmatch(fqn)
        if last is None or first.regs[1:] != last.regs[1:]:
            return match_parts(parts, fqn)
        groups = first.groups()
        return (tuple([_read_capture(groups[i]) for i in places]),)

    return match


def _write_group(part: Part, lazy: str) -> str:
    """A part as one group that prefers the longest text, or with `?` the shortest."""
    match part:
        case Text():
            return part.regex
        case Star():
            return f"([^.]*{lazy})"
        case Segments():
            return rf"((?:[^.]+\.)*{lazy})"
        case Hole(kind="segments"):
            return rf"([^.]+(?:\.[^.]+)*{lazy})"
        case Hole(kind="alternatives"):
            ordered = sorted(part.alternatives, key=len, reverse=not lazy)
            return f"({'|'.join(re.escape(choice) for choice in ordered)})"
        case Hole(kind=kind):
            return f"([{'0-9' if kind == 'int' else '^.'}]+{lazy})"


def match_parts(parts: Sequence[Part], fqn: str) -> tuple[Values, ...]:
    """Dynamic programming over (part, position): forward what can be reached, then backward with which captures."""
    steps: list[dict[int, Sequence[int]]] = []
    reached = {0}
    for part in parts:
        steps.append({start: part.ends(fqn, start) for start in reached})
        reached = {end for ends in steps[-1].values() for end in ends}
        if not reached:
            return ()
    found: dict[int, tuple[Values, ...]] = {len(fqn): ((),)}
    for part, step in zip(reversed(parts), reversed(steps), strict=True):
        named = isinstance(part, Hole)
        found = {start: _join(fqn, start, ends, found, named) for start, ends in step.items()}
    return found.get(0, ())


def _join(
    fqn: str, start: int, ends: Sequence[int], found: dict[int, tuple[Values, ...]], named: bool
) -> tuple[Values, ...]:
    """Up to two different sets of captures from `start` on: two are enough to know that there is more than one."""
    sets: dict[Values, None] = {}
    for end in ends:
        for rest in found.get(end, ()):
            sets[(_read_capture(fqn[start:end]), *rest) if named else rest] = None
            if len(sets) == 2:
                return tuple(sets)
    return tuple(sets)


@lru_cache(maxsize=1 << 16)  # a capture has few texts: layer numbers and names of tensors
def _read_capture(text: str) -> int | str:
    number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if number else text
