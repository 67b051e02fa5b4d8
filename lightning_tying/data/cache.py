"""The cache folder: a name and its bytes go in, a file that is whole or absent comes out."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from lightning_tying.errors import ConfigError

_HOUR = 3600.0


def cache_folder(asked: str | os.PathLike[str] | None = None) -> Path:
    """The folder for what can be computed again: the one asked for, or `lightning_tying` in the user's cache."""
    if asked is not None:
        return Path(asked).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(home or Path("~", ".cache")).expanduser() / "lightning_tying"


def cache_key(*parts: object) -> str:
    """A name that is the same for the same parts (anything that JSON can hold), in every process."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that other processes see whole or not at all; of two writers at once the last wins.

    The bytes go into a file beside it, which takes its place once they are on the disk.

    Raises:
        ConfigError: the folder or file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with beside.open("xb") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(
            f"The file {path} cannot be written ({error.strerror}); data.cache_dir chooses another cache folder."
        ) from error


def _sweep(path: Path) -> None:
    """Remove what writers that were killed left behind; an hour old, so that no living writer loses its file."""
    for rest in path.parent.glob(f"{path.name}.*.tmp"):
        try:
            if time.time() - rest.stat().st_mtime > _HOUR:
                rest.unlink()
        except FileNotFoundError:  # another process swept first
            continue
