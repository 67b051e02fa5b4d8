"""From a pattern to the names that it matches: names sorted once, cut by the pattern's literal prefix."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from lightning_tying.spec.patterns import Captures, Pattern

LAST_LETTER = "\U0010ffff"


class SiteIndex:
    """Names in their own order, looked up by pattern."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names: Final = names
        self._order = sorted(range(len(names)), key=names.__getitem__)
        self._sorted = [names[position] for position in self._order]

    def find(self, pattern: Pattern) -> list[tuple[int, tuple[Captures, ...]]]:
        """The positions of the names that match, in the names' order, each with its sets of captures."""
        found: list[tuple[int, tuple[Captures, ...]]] = []
        match, names, captures = pattern.matcher, self.names, pattern.captures
        for position in self._list_possible(pattern):  # a loop over all names: nothing in it that can be outside
            values = match(names[position] + ".")
            if values:
                found.append((position, tuple([dict(zip(captures, each, strict=True)) for each in values])))
        return found

    def _list_possible(self, pattern: Pattern) -> Sequence[int]:
        """The positions, in order, of the names that begin and end as the pattern does."""
        start, stop = self._cut(pattern.prefix)
        possible = range(len(self.names)) if stop - start == len(self.names) else sorted(self._order[start:stop])
        if not pattern.suffix:
            return possible
        names, suffix = self.names, pattern.suffix
        return [position for position in possible if names[position].endswith(suffix)]

    def list_names(self, prefix: str) -> list[str]:
        """The names that begin with `prefix`, in the names' order."""
        start, stop = self._cut(prefix)
        return [self.names[position] for position in sorted(self._order[start:stop])]

    def _cut(self, prefix: str) -> tuple[int, int]:
        if not prefix:
            return 0, len(self._sorted)
        return bisect_left(self._sorted, prefix), bisect_left(self._sorted, prefix + LAST_LETTER)
