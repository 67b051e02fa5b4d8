"""The folder of a run that was refused: a folder's name goes in before the run, what the run made in it is gone."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path


def find_new(folder: Path) -> list[Path]:
    """The folders that making `folder` would make, itself first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def remove_new(new: list[Path]) -> None:
    """Remove the run's folder with all that is in it, and the folders above it as far as nothing else is in them."""
    if new:
        shutil.rmtree(new[0], ignore_errors=True)
    for folder in new[1:]:
        with contextlib.suppress(OSError):  # another run is in it, or it was never made
            folder.rmdir()
