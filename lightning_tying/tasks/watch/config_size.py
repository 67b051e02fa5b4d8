"""A config that was read goes in; one that is small as a file and endless when it is written out is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from lightning_tying.errors import ConfigError

MOST_VALUES = 1_000_000


def check_size(content: object, name: str) -> None:
    """Refuse anchors and aliases (`&a`, `*a`) that multiply to more than a million values, or that go round.

    Args:
        content: of nested mappings and lists, the same object wherever an alias stands.
        name: of the config, for the message.

    Raises:
        ConfigError: naming the config.
    """
    sizes: dict[int, int] = {}
    open_: set[int] = set()
    stack: list[tuple[object, bool]] = [(content, False)]
    while stack:
        value, done = stack.pop()
        if id(value) in sizes and not done:
            continue
        parts = [part for part in _parts(value) if _is_collection(part)]
        if done:
            open_.discard(id(value))
            sizes[id(value)] = 1 + sum(sizes.get(id(part), 0) for part in parts) + len(list(_parts(value)))
            if sizes[id(value)] > MOST_VALUES:
                raise ConfigError(f"{name}: Its anchors and aliases stand for more than {MOST_VALUES:,} values.")
            continue
        open_.add(id(value))
        if any(id(part) in open_ for part in parts):
            raise ConfigError(f"{name}: An alias stands inside of what it names.")
        stack.append((value, True))
        stack.extend((part, False) for part in parts)


def _is_collection(value: object) -> bool:
    return isinstance(value, Mapping | list)


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()
