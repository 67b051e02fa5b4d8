"""A checkpoint before it is loaded: its path goes in, nothing or one clear refusal comes out."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

from lightning_tying.checkpoints.sharded_folder import check_folder
from lightning_tying.errors import ConfigError

WRITTEN_BY_LIGHTNING = "pytorch-lightning_version"
FOLDER_FILES = ("meta.pt", ".metadata")


def check_checkpoint(path: Path, *, trusted: bool = False) -> None:
    """Refuse what Lightning could not load, before a run begins; the tensors are mapped, not read.

    Args:
        path: what `--ckpt_path` names, or the run's own; of a folder of shards what is no tensor is read.
        trusted: whether the user said that the checkpoint may run code (`--weights_only false`).

    Raises:
        ConfigError: there is no such file, it is no checkpoint of Lightning, or it holds more than plain values.
    """
    if not path.exists():
        raise ConfigError(f"The checkpoint {path} does not exist (--ckpt_path).")
    if path.is_dir():
        if not all((path / name).is_file() for name in FOLDER_FILES):
            raise ConfigError(
                f"The checkpoint {path} is a folder without a whole checkpoint in it; name a .ckpt file or a folder "
                f"that a strategy wrote, with {' and '.join(FOLDER_FILES)}."
            )
        if not trusted:
            check_folder(path)
        path = path / FOLDER_FILES[0]
    if not zipfile.is_zipfile(path):
        raise ConfigError(f"{path} is no checkpoint, or was cut off while it was written. Give another --ckpt_path.")
    content = _read(path, trusted)
    if not trusted and (not isinstance(content, Mapping) or WRITTEN_BY_LIGHTNING not in content):
        raise ConfigError(
            f"{path} was not written by Lightning, so no run can go on from it. Weights alone are for --init_from."
        )


def _read(path: Path, trusted: bool) -> object:
    """The content; nothing of a trusted checkpoint, which Lightning alone loads."""
    if trusted:
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"{path} holds more than tensors and plain values{_name_object(error)}, and loading that can run any "
            "code. If you trust whoever made it, give --weights_only false."
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be read as a checkpoint. Give another --ckpt_path.") from error


def _name_object(error: pickle.UnpicklingError) -> str:
    """What torch would not load, as far as it says so."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f" (`{found[1].rstrip('.')}`)" if found else ""
