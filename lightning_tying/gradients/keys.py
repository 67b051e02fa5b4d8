"""A shared parameter, the place that reads it and the number of the read in; the name of one use out."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_tying.algebra.expression import ParameterName

OUTSIDE = "(read outside)"


@dataclass(frozen=True, slots=True)
class UseKey:
    """One use of one shared parameter in one forward pass.

    Args:
        group: the shared parameter.
        place: the site that reads it, or the slot of a derived site; for a read that belongs to no site, the module
            whose forward reads it, with `(read outside)`.
        call: the how-manyeth read of that place it is, from 1. All that a module does with its own parameter in one
            forward is one read.
    """

    group: ParameterName
    place: str
    call: int = 1

    def __str__(self) -> str:
        return self.place if self.call == 1 else f"{self.place} (call {self.call})"
