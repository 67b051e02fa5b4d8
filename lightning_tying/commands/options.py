"""Options of this package's own commands: words go in, the other words and the option's value come out."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_tying.errors import ConfigError


def take_option(words: list[str], name: str, choices: Sequence[str]) -> tuple[list[str], str | None]:
    """Take `--name VALUE` or `--name=VALUE` out of the words.

    Raises:
        ConfigError: the value is missing, or none of the choices.
    """
    for place, word in enumerate(words):
        if word != name and not word.startswith(f"{name}="):
            continue
        joined = word.partition("=")[2] if "=" in word else None
        value = joined if joined is not None else next(iter(words[place + 1 : place + 2]), None)
        if value not in choices:
            raise ConfigError(f"{name} is one of {', '.join(choices)}, not {value or 'nothing'}.")
        return words[:place] + words[place + (1 if joined is not None else 2) :], value
    return words, None


def take_flag(words: list[str], name: str) -> tuple[list[str], bool]:
    """Take `--name` out of the words."""
    return [word for word in words if word != name], name in words
