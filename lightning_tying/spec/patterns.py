"""A pattern such as `layers.{l}.{name*}` in, a `Pattern` out that says which FQNs it matches, with which captures."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from lightning_tying.spec.pattern_matching import Matcher, make_matcher
from lightning_tying.spec.pattern_parts import Hole, Part, Segments, Text
from lightning_tying.spec.pattern_reader import read_parts

Captures: TypeAlias = dict[str, int | str]


@dataclass(frozen=True)
class Pattern:
    """A pattern that has been read; equal when the texts are.

    Args:
        text: as it was written.
        parts: what it is made of, every segment closed by a dot.
        holes: those of its parts that capture.
        captures: the names of the holes, from left to right.
        prefix: what every FQN begins with that it matches.
        suffix: what every FQN ends with that it matches.
    """

    text: str
    parts: tuple[Part, ...] = field(compare=False, repr=False)
    holes: tuple[Hole, ...] = field(init=False, compare=False, repr=False)
    captures: tuple[str, ...] = field(init=False, compare=False, repr=False)
    prefix: str = field(init=False, compare=False, repr=False)
    suffix: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "holes", tuple(part for part in self.parts if isinstance(part, Hole)))
        object.__setattr__(self, "captures", tuple(hole.name for hole in self.holes))
        object.__setattr__(self, "prefix", _literal_prefix(self.parts))
        last = self.parts[-1]
        object.__setattr__(self, "suffix", last.text.removesuffix(".") if isinstance(last, Text) else "")

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return read_pattern, (self.text,)

    def __str__(self) -> str:
        return self.text

    def match(self, fqn: str) -> tuple[Captures, ...]:
        """The different sets of captures with which the pattern matches `fqn`.

        Returns:
            Nothing where it does not match; two where it matches in more than one way (error 30); never more.
        """
        if not (fqn.startswith(self.prefix) and fqn.endswith(self.suffix)):
            return ()
        names = self.captures
        return tuple([dict(zip(names, values, strict=True)) for values in self.matcher(fqn + ".")])

    @cached_property
    def matcher(self) -> Matcher:
        """From an FQN and a period to the values of all captures, for whoever has looked at prefix and suffix."""
        return make_matcher(self.parts)


def read_pattern(text: str) -> Pattern:
    """Read a pattern by the grammar of section 2 of the language reference.

    Raises:
        Mistake: 16 to 22, or 24 where a limit is passed (500 characters, 16 holes, 256 alternatives).
    """
    return Pattern(text, read_parts(text))


def _literal_prefix(parts: tuple[Part, ...]) -> str:
    """What every matching FQN begins with; `layers.**` also matches `layers`."""
    first = parts[0]
    if not isinstance(first, Text):
        return ""
    whole = len(parts) == 1 or isinstance(parts[1], Segments)
    return first.text.removesuffix(".") if whole else first.text


__all__ = ["Captures", "Hole", "Pattern", "read_pattern"]
