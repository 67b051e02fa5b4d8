"""Walking of a folder: a path goes in, the files below it come out in an order that is the same everywhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lightning_tying.errors import ConfigError


def walk(folder: Path) -> Iterator[Path]:
    """The files below a folder, sorted within each folder.

    Raises:
        ConfigError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise ConfigError(f"data.folder: {error.filename} cannot be read: {error.strerror}.") from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (Path(place, name) for name in sorted(files))
