"""The parts that a pattern is made of, and where each can end in an FQN that is closed by a dot."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

HoleKind: TypeAlias = Literal["text", "int", "alternatives", "segments"]


@dataclass(frozen=True)
class Text:
    """Characters that stand for themselves, dots included."""

    text: str

    def ends(self, fqn: str, start: int) -> tuple[int, ...]:
        return (start + len(self.text),) if fqn.startswith(self.text, start) else ()

    @property
    def regex(self) -> str:
        return re.escape(self.text)


@dataclass(frozen=True)
class Star:
    """`*`: zero or more characters of one segment."""

    def ends(self, fqn: str, start: int) -> range:
        return range(start, fqn.find(".", start) + 1)

    regex = "[^.]*"


@dataclass(frozen=True)
class Segments:
    """`**`: zero or more whole segments, each with the dot behind it."""

    def ends(self, fqn: str, start: int) -> tuple[int, ...]:
        return (start, *(i + 1 for i in range(start, len(fqn)) if fqn[i] == "."))

    regex = r"(?:[^.]+\.)*"


@dataclass(frozen=True)
class Hole:
    """`{…}`: a capture.

    Args:
        name: the capture's name.
        kind: `text` for `{l}`, `int` for `{l:int}`, `alternatives` for `{m:q|k}`, `segments` for `{name*}`.
        alternatives: as written, for the kind that has them.
    """

    name: str
    kind: HoleKind = "text"
    alternatives: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """The hole as it is written."""
        inside = {"text": "", "int": ":int", "segments": "*", "alternatives": ":" + "|".join(self.alternatives)}
        return "{" + self.name + inside[self.kind] + "}"

    def ends(self, fqn: str, start: int) -> list[int]:
        """All places where a capture that begins at `start` can end, ascending."""
        if self.kind == "alternatives":
            return sorted({end for pieces in self._pieces for end in _alternative_ends(pieces, fqn, start)})
        if self.kind == "segments":
            return [i for i in range(start + 1, len(fqn)) if fqn[i] == "."]
        stop = fqn.find(".", start)
        if self.kind == "int":
            stop = next((i for i in range(start, stop) if fqn[i] not in "0123456789"), stop)
        return list(range(start + 1, stop + 1))

    @property
    def regex(self) -> str:
        choices = "|".join("[^.]*".join(re.escape(text) for text in choice.split("*")) for choice in self.alternatives)
        inside = {"text": "[^.]+", "int": "[0-9]+", "segments": r"[^.]+(?:\.[^.]+)*", "alternatives": choices}
        return f"({inside[self.kind]})"

    @cached_property
    def _pieces(self) -> tuple[tuple[Text | Star, ...], ...]:
        return tuple(_split_stars(alternative) for alternative in self.alternatives)


Part: TypeAlias = Text | Star | Segments | Hole


def _split_stars(alternative: str) -> tuple[Text | Star, ...]:
    return tuple(Star() if piece == "*" else Text(piece) for piece in re.split(r"(\*)", alternative) if piece)


def _alternative_ends(pieces: tuple[Text | Star, ...], fqn: str, start: int) -> set[int]:
    reached = {start}
    for piece in pieces:
        reached = {end for place in reached for end in piece.ends(fqn, place)}
    return reached
