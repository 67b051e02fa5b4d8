"""The folder that a command is to write: its path goes in; nothing comes out, or what stands in the way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lightning_tying.errors import ConfigError


def check_folder(folder: Path, *, force: bool, names: Sequence[str] | None = None) -> None:
    """Refuse a folder that has something already or cannot be written, before any work is done.

    Args:
        folder: it need not exist.
        force: whether what is there may be replaced.
        names: the files that would be replaced; None for all that lie there.

    Raises:
        ConfigError: saying which.
    """
    nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not nearest.is_dir():
        what = f"{folder} is a file" if folder.exists() else f"{nearest} is a file"
        raise ConfigError(f"{what}; --output names a folder.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder} cannot be written: the folder {nearest} is read-only.")
    lying = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    there = [name for name in names or lying if name in lying]
    if there and not force:
        raise ConfigError(f"{folder} has {there[0]} already; give another folder, or --force to write into this one.")
