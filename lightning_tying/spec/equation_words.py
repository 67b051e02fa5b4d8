"""What tells a number from a shared parameter in a value: the words of one equation."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_tying.spec.names import SIZES, is_coordinate


@dataclass(frozen=True)
class EquationWords:
    """What the words of one equation mean; every other word of a value names a shared parameter.

    Args:
        captures: the holes of its patterns.
        let: the names of `let`.
        sites: the patterns as written, for messages.
    """

    captures: frozenset[str] = frozenset()
    let: frozenset[str] = frozenset()
    sites: tuple[str, ...] = ()

    def is_scalar(self, word: str) -> bool:
        return word in self.captures or word in self.let or word in SIZES or is_coordinate(word)
