"""The checkpoint that a broken-off run goes on from: its folders go in, the newest readable one comes out.

"Newest" is by the time at which it was written; `cp -p` and `rsync -a` keep it, plain `cp` does not.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch
from lightning_utilities.core.rank_zero import rank_zero_only

from lightning_tying.callbacks.run_checkpoint import MID_STEP
from lightning_tying.checkpoints.atomic_write import PREVIOUS
from lightning_tying.commands.checkpoint_file import FOLDER_FILES, check_checkpoint
from lightning_tying.errors import ConfigError

NEWEST = ("last", "newest")  # what `--ckpt_path` may say instead of a path
ENDING = ".ckpt"


def find_newest(folders: Iterable[Path]) -> Path | None:
    """Look for the newest checkpoint that can be read, and say on stderr which were passed over and which it is.

    Args:
        folders: where checkpoints of the run lie; not looked into below.

    Returns:
        Its path; None where there is no checkpoint at all.

    Raises:
        ConfigError: there are checkpoints, and none can be read.
    """
    found = sorted({path for folder in folders for path in _list(folder)}, key=_written_at, reverse=True)
    readable = {path: _why_not(path) for path in found}
    refused: list[str] = []
    for path in sorted(found, key=lambda path: readable[path] is None and _is_mid_step(path)):
        reason = readable[path]
        if reason is None:
            for line in refused:
                _tell(f"warning: {line}")
            _tell(f"checkpoint: {path}")
            return path
        refused.append(reason)
    if refused:
        refused.append("No checkpoint of the run can be read. Begin anew without --ckpt_path.")
        raise ConfigError("\n".join(refused))
    _tell("checkpoint: none yet, so the run begins")
    return None


@rank_zero_only  # every process of a run looks for itself
def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _list(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    names = (ENDING, ENDING + PREVIOUS)
    return [path for path in folder.iterdir() if path.name.endswith(names) and not path.name.startswith(".")]


def _written_at(path: Path) -> tuple[int, str]:
    """The time; of equal ones `last` comes before `best`. A broken link counts as the oldest."""
    marked = path / FOLDER_FILES[0] if path.is_dir() else path
    try:
        return marked.stat().st_mtime_ns, path.name
    except OSError:
        return 0, path.name


def _why_not(path: Path) -> str | None:
    """Why a checkpoint cannot be read; None where it can: its checksums are looked at too."""
    try:
        check_checkpoint(path)
        file = path / FOLDER_FILES[0] if path.is_dir() else path
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except (ConfigError, OSError, zipfile.BadZipFile, EOFError) as error:
        return str(error)
    return None if damaged is None else f"{path} is damaged: the checksum of {damaged} is wrong."


def _is_mid_step(path: Path) -> bool:
    """Whether it was written while gradients were accumulated: others are preferred, though they are older."""
    file = path / FOLDER_FILES[0] if path.is_dir() else path
    return bool(torch.load(file, map_location="cpu", weights_only=True, mmap=True).get(MID_STEP))
