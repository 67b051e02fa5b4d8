"""Files that belong together: their paths and contents go in; all of them are written, or what was there stays."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from lightning_tying.errors import ConfigError


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write every file under another name first, and put them in place when all are whole.

    Args:
        files: path → content, one at least; folders are made.

    Raises:
        ConfigError: one of them cannot be written.
    """
    partial = {path: path.with_name(f"{path.name}.{os.getpid()}.tmp") for path in files}
    path = next(iter(files))
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(None, "there is a folder of that name")
            partial[path].write_bytes(content)
        for path, beside in partial.items():
            os.replace(beside, path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        for beside in partial.values():
            with contextlib.suppress(OSError):  # in place already, or never begun
                beside.unlink()
