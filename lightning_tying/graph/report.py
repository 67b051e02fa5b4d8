"""Where planning puts the mistakes and warnings that it finds, until all are known."""

from __future__ import annotations

from dataclasses import dataclass, field

from lightning_tying.errors import Location, Problem

SOFT = frozenset({"25", "26", "27", "28", "31", "32", "33"})  # strict=False makes warnings of them


@dataclass
class Report:
    """Collects; the caller raises.

    Args:
        strict: whether a pattern that matches nothing is a mistake or a warning.
    """

    strict: bool = True
    problems: list[Problem] = field(default_factory=list[Problem])
    warnings: list[Problem] = field(default_factory=list[Problem])

    def add(self, code: str, location: Location, text: str) -> None:
        """A mistake, or a warning where the call is not strict about it."""
        soft = code in SOFT and not self.strict
        (self.warnings if soft else self.problems).append(Problem(code, location, text))

    def warn(self, code: str, location: Location, text: str) -> None:
        """A warning."""
        self.warnings.append(Problem(code, location, text))


def name_place(location: Location) -> str:
    """How a message calls another entry of the same spec: `line 3`, or `share[2]` where lines are not known."""
    return f"line {location.line}" if location.line is not None else location.path or "another entry"
