"""The path of a checkpoint goes in, its content comes out as plain data and tensors; or one clear refusal."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from lightning_tying.checkpoints.check_form import OPTIMIZERS, STATE, check_form
from lightning_tying.checkpoints.sharded_folder import EXTRA, METADATA, read_extra
from lightning_tying.errors import ConfigError

__all__ = [
    "OPTIMIZERS",
    "STATE",
    "WRITTEN_BY_LIGHTNING",
    "is_sharded",
    "read_checkpoint",
    "read_header",
    "read_plain",
    "refuse_sharded",
]
WRITTEN_BY_LIGHTNING = "pytorch-lightning_version"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint that is one file; nothing in it is executed.

    Args:
        path: a `.ckpt` file of Lightning. Its tensors are mapped from the disk, not copied: keep it while they are
            in use.

    Raises:
        ConfigError: there is no such file, it is cut off, it holds more than plain content, or Lightning did not
            write it.
    """
    content = read_plain(path)
    if (
        not isinstance(content, Mapping)
        or not content.keys() >= {WRITTEN_BY_LIGHTNING, STATE}
        or content[STATE] is None
    ):
        raise ConfigError(
            f"{path} is no checkpoint of Lightning: it has no `{STATE}` or no `{WRITTEN_BY_LIGHTNING}`. "
            "Weights alone are for `checkpoint import`, or for --init_from."
        )
    check_form(cast("Mapping[Any, Any]", content), path)
    return dict(cast("Mapping[str, Any]", content))


def read_plain(path: Path) -> object:
    """Read what `torch.save` wrote, if it is plain content.

    Raises:
        ConfigError: there is no such file, it is cut off, or it holds more than plain content.
    """
    _check_file(path)
    if not zipfile.is_zipfile(path):
        raise ConfigError(f"{path} is no checkpoint, or was cut off while it was written.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"{path} holds objects besides tensors and plain values, and reading them could run code. Save it "
            "again without them (hyperparameters as plain values)."
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, ImportError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{path} cannot be read as a checkpoint ({reason}); it may have been cut off.") from error


def is_sharded(path: Path) -> bool:
    """Whether a path is a folder that `ModelParallelStrategy` or FSDP wrote.

    Raises:
        ConfigError: it is a folder without a checkpoint in it.
    """
    if not path.is_dir():
        return False
    if not (path / METADATA).is_file():
        raise ConfigError(
            f"{path} is a folder without a sharded checkpoint in it (no {METADATA}). Name a .ckpt file, or the folder "
            "that a run with save_distributed_checkpoint wrote."
        )
    return True


def refuse_sharded(path: Path) -> None:
    """Refuse the folder of a sharded checkpoint where one file is wanted.

    Raises:
        ConfigError: saying how to make one file of it.
    """
    if is_sharded(path):
        raise ConfigError(f"{path} is sharded. First: lightning-tying checkpoint consolidate {path} --output FILE")


def read_header(path: Path) -> dict[str, Any]:
    """All of a checkpoint but its tensors where they lie apart: of a folder the part that is not sharded.

    Raises:
        ConfigError: it cannot be read.
    """
    return read_extra(path / EXTRA) if is_sharded(path) else read_checkpoint(path)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; a single file is wanted. `checkpoint consolidate {path}` makes one.")
    if not path.exists():
        raise ConfigError(f"The file {path} does not exist.")
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ConfigError(f"The file {path} cannot be read: {error.strerror}.") from error
