"""Cached messages: files and how to read them go in, their messages come out, read once only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from lightning_tying.data.cache import cache_key, write_whole
from lightning_tying.data.corpus import Messages
from lightning_tying.errors import ConfigError

_FORMAT = 1  # raise it when the reading changes


def read_once(files: Iterable[Path], languages: list[str], folder: Path, read: Callable[[], Messages]) -> Messages:
    """The messages, from the cache where the same files (place, size, time of change) were read before.

    Args:
        files: all files that `read` reads.
        languages: those that it reads, in their order.
        folder: the cache.
        read: reads the files.

    Raises:
        ConfigError: a file, or the cache, cannot be reached.
    """
    path = folder / "messages" / f"{cache_key(_FORMAT, languages, [_stamp(file) for file in files])}.json"
    try:
        content = json.loads(path.read_bytes())
        return cast("dict[str, dict[str, str]]", content["messages"])
    except (OSError, ValueError, KeyError, TypeError):  # absent or damaged: read again, and written over it
        pass
    messages = read()
    text = json.dumps({"messages": messages}, ensure_ascii=False)
    write_whole(path, [text.encode("utf-8", "replace")])
    return messages


def _stamp(file: Path) -> tuple[str, int, int]:
    try:
        found = file.stat()
    except OSError as error:
        raise ConfigError(f"data: {file} cannot be read: {error.strerror}.") from error
    return str(file), found.st_size, found.st_mtime_ns
