"""Mistakes of a spec as they are found, each with its place; reading goes on after every one."""

from __future__ import annotations

from dataclasses import dataclass, field

from lightning_tying.errors import Location, Problem
from lightning_tying.spec.mistakes import Mistake


@dataclass
class Findings:
    """The mistakes and warnings of one file.

    Args:
        problems: what makes the spec wrong.
        warnings: what is allowed and probably not meant.
    """

    problems: list[Problem] = field(default_factory=list[Problem])
    warnings: list[Problem] = field(default_factory=list[Problem])

    def add(self, location: Location, code: str, text: str) -> None:
        self.problems.append(Problem(code, location, text))

    def warn(self, location: Location, code: str, text: str) -> None:
        self.warnings.append(Problem(code, location, text))

    def at(self, location: Location) -> Guard:
        """Give a `Mistake` of what is read inside its place, and go on."""
        return Guard(self, location)


@dataclass
class Guard:
    """The context in which one option is read: a `Mistake` ends it and becomes a problem with a place."""

    found: Findings
    location: Location

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Mistake):
            self.found.add(self.location, error.code, error.text)
        return isinstance(error, Mistake)


def place_of(location: Location) -> str:
    """A place as messages name another one: `line 3`, `share[0]`."""
    return location.path or "the spec" if location.line is None else f"line {location.line}"
