"""Every error that this package raises on purpose, in one tree; imports nothing of the package.

TyingError
├── SpecError       the spec is wrong, by itself or for this model; carries every mistake found
├── ApplyError      the module is in a state in which the call makes no sense
├── TieBroken       a tie that the plan promises does not hold any more
├── ConflictError   a checkpoint has two different values for one shared parameter
└── ConfigError     a run config, a file or a package that it asks for is wrong or missing
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class TyingError(Exception):
    """The base of all errors of `lightning_tying`; its text says what, where and what to do."""


@dataclass(frozen=True)
class Location:
    """Where in a spec something stands.

    Args:
        source: the file's name as the user gave it, `<text>` for YAML text, None for a dict.
        line: the line, from 1; None for a dict.
        path: the place in the data, `share[2]` or `parameters.W`.
    """

    source: str | None = None
    line: int | None = None
    path: str = ""

    def __str__(self) -> str:
        if self.line is None:
            return self.path or self.source or "spec"
        return f"{self.source or '<text>'}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One mistake (or warning) of a spec: its number in the language reference, its place, its text."""

    code: str
    location: Location
    text: str

    def __str__(self) -> str:
        return f"{self.location}: {self.text}"


class SpecError(TyingError):
    """All mistakes of a spec at once, sorted by line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        unique = tuple(dict.fromkeys(problems))
        self.problems = tuple(sorted(unique, key=lambda problem: problem.location.line or 0))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Problem, ...]]]:
        return SpecError, (self.problems,)


class ApplyError(TyingError):
    """The module cannot be tied or untied as it is now; the text says what to do first."""


class TieBroken(TyingError):
    """A tie that the plan promises does not hold; the text names group, sites and likely cause."""


class ConflictError(TyingError):
    """A checkpoint has two different values for one shared parameter."""


class ConfigError(TyingError):
    """A run config, a file, a folder or an optional package is wrong or missing."""


class SharingWarning(UserWarning):
    """Something in a spec is allowed and probably not meant (W1 … W7 of the language reference)."""
