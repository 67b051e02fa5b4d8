"""An argument of `GradientStability` in; the same out, or an error that says what it may be."""

from __future__ import annotations

from typing import Any, cast

from lightning_tying.errors import ConfigError


def require_count(name: str, value: int, least: int) -> int:
    """A whole number.

    Raises:
        ConfigError: it is none, or too small.
    """
    if type(value) is not int or value < least:  # True is an int, too
        raise ConfigError(f"GradientStability: {name} is a whole number, {least} or more, not {value!r}.")
    return value


def require_patterns(groups: Any) -> list[str] | None:
    """Patterns as a list.

    Raises:
        ConfigError: they are no texts, or none at all.
    """
    if groups is None:
        return None
    listed: Any = [groups] if isinstance(groups, str) else groups
    found = cast("list[object]", listed) if isinstance(listed, list | tuple) else []
    if not found or not all(isinstance(each, str) for each in found):
        raise ConfigError(
            f"GradientStability: groups is a name with `*` for any text, a list of such, or null, not {groups!r}."
        )
    return [str(each) for each in found]


def require_word(name: str, value: Any, known: tuple[str | None, ...]) -> Any:
    """One of some words.

    Raises:
        ConfigError: it is none of them.
    """
    if value not in known:
        words = ", ".join("null" if word is None else word for word in known)
        raise ConfigError(f"GradientStability: {name} is one of {words}, not {value!r}.")
    return value
