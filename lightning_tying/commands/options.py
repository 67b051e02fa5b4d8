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
    words, value = _take(words, name)
    if value is not None and value not in choices:
        raise ConfigError(f"{name} is one of {', '.join(choices)}, not {value or 'nothing'}.")
    return words, value


def take_text(words: list[str], name: str) -> tuple[list[str], str | None]:
    """Take `--name VALUE` or `--name=VALUE` out of the words, whatever the value is.

    Raises:
        ConfigError: the value is missing.
    """
    words, value = _take(words, name)
    if value == "":
        raise ConfigError(f"{name} needs a value.")
    return words, value


def _take(words: list[str], name: str) -> tuple[list[str], str | None]:
    """The other words and the value: empty where it is missing, None without the option."""
    for place, word in enumerate(words):
        if word == name:
            return words[:place] + words[place + 2 :], next(iter(words[place + 1 : place + 2]), "")
        if word.startswith(f"{name}="):
            return words[:place] + words[place + 1 :], word.partition("=")[2]
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


def take_value(words: list[str], name: str) -> tuple[list[str], str | None]:
    """Take `--name VALUE` or `--name=VALUE` with any value out of the words.

    Raises:
        ConfigError: the value is missing.
    """
    for place, word in enumerate(words):
        if word.startswith(f"{name}="):
            return words[:place] + words[place + 1 :], word.partition("=")[2]
        if word == name:
            if place + 1 == len(words) or words[place + 1].startswith("--"):
                raise ConfigError(f"{name} needs a value.")
            return words[:place] + words[place + 2 :], words[place + 1]
    return words, None
