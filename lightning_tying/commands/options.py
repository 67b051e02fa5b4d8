"""Options of this package's own commands: words go in, the other words and the option's value come out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

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


def join_let(words: Sequence[str]) -> list[str]:
    """Join every `--let NAME=VALUE` into one option with a mapping, which is what the parser reads.

    Raises:
        ConfigError: there is no name, no value, or the value is not YAML.
    """
    kept: list[str] = []
    values: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if word == "--let" or word.startswith("--let="):
            name, value = _read_let(next(rest, "") if word == "--let" else word.partition("=")[2])
            values[name] = value
        else:
            kept.append(word)
    return [*kept, f"--let={json.dumps(values)}"] if values else kept


def _read_let(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name.strip() or not equals:
        raise ConfigError(f"--let replaces a value of the spec's `let`: --let K=6, not --let {text or '(nothing)'}.")
    try:
        return name.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--let {text}: the value is not YAML.") from error
