"""The names of a group's uses in; by which number they differ (layer 0 … 11, call 1 … 6) out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

CALLS = "calls"
_CALL = re.compile(r" \(call (\d+)\)$")


@dataclass(frozen=True)
class Numbering:
    """Uses that differ in one number alone.

    Args:
        word: what is numbered, as the module's path says: `layers`, `h`; `calls` where one module is called repeatedly.
        numbers: of each use, all different.
    """

    word: str
    numbers: tuple[int, ...]

    def label(self, number: int) -> str:
        """`layers.3`, `h.3`; `call 3`."""
        return f"call {number}" if self.word == CALLS else f"{self.word}.{number}"

    def tell(self, one: int, other: int) -> str:
        """`layers 0 and 11`; `h.0 and h.11` where the path's word is no plural."""
        if self.word.endswith("s"):
            return f"{self.word} {one} and {other}"
        return f"{self.label(one)} and {self.label(other)}"


def number_uses(uses: Sequence[str]) -> Numbering | None:
    """Find the number by which uses differ; None where they differ in something else.

    Args:
        uses: two or more names: `layers.3.fc.weight`, `block.fc.weight (call 2)`.
    """
    if len(uses) < 2:
        return None
    places = [_CALL.sub("", use) for use in uses]
    if len(set(places)) == 1:
        calls = tuple(int(found[1]) if (found := _CALL.search(use)) else 1 for use in uses)
        return Numbering(CALLS, calls) if len(set(calls)) == len(calls) else None
    paths = [place.split(".") for place in places]
    if len({len(path) for path in paths}) > 1:
        return None
    columns = list(zip(*paths, strict=True))
    differing = [place for place, column in enumerate(columns) if len(set(column)) > 1]
    if len(differing) != 1 or not all(word.isdecimal() for word in columns[differing[0]]):
        return None
    numbers = tuple(int(word) for word in columns[differing[0]])
    word = paths[0][differing[0] - 1] if differing[0] else "layers"
    return Numbering(word, numbers) if len(set(numbers)) == len(numbers) else None
