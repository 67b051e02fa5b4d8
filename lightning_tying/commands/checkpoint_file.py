"""A checkpoint before it is loaded: its path goes in, nothing or one clear refusal comes out."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

from lightning_tying.errors import ConfigError

WRITTEN_BY_LIGHTNING = "pytorch-lightning_version"


def check_checkpoint(path: Path) -> None:
    """Refuse what Lightning could not load, before a run begins; the tensors are mapped, not read.

    Args:
        path: what `--ckpt_path` names, or the run's own; a folder is left to the strategy that wrote it.

    Raises:
        ConfigError: there is no such file, or it is no checkpoint of Lightning.
    """
    if not path.exists():
        raise ConfigError(f"The checkpoint {path} does not exist (--ckpt_path).")
    if path.is_dir():
        if not any(path.iterdir()) or not any((path / name).exists() for name in ("meta.pt", ".metadata")):
            raise ConfigError(f"The checkpoint {path} is a folder without a checkpoint in it; name a .ckpt file.")
        return
    if not zipfile.is_zipfile(path):
        raise ConfigError(f"{path} is no checkpoint, or was cut off while it was written. Give another --ckpt_path.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:  # holds more than plain content: whether to trust it is the user's to say
        return
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise ConfigError(f"{path} cannot be read as a checkpoint. Give another --ckpt_path.") from error
    if not isinstance(content, Mapping) or WRITTEN_BY_LIGHTNING not in content:
        raise ConfigError(
            f"{path} was not written by Lightning, so no run can go on from it. Weights alone are for --init_from."
        )
