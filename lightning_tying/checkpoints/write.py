"""A path and what writes there go in; the whole file or folder is there afterwards, or nothing has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lightning_tying.checkpoints.atomic_write import (
    name_partial,
    remove,
    replace_folder,
    sync_folder,
    sync_tree,
    write_atomically,
)
from lightning_tying.errors import ConfigError


def check_target(target: Path, *, force: bool = False) -> None:
    """Refuse a target that is there already or cannot be written, before any work is done.

    Raises:
        ConfigError: saying which.
    """
    if target.exists() and not force:
        raise ConfigError(f"{target} is there already; nothing was written. Give another --output, or --force.")
    parent = next(each for each in target.absolute().parents if each.exists())
    if not parent.is_dir():
        raise ConfigError(f"{target} cannot be written: {parent} is not a folder.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{target} cannot be written: the folder {parent} is read-only.")


def write_checkpoint(content: object, target: Path, *, force: bool = False) -> None:
    """Write what `torch.save` takes.

    Raises:
        ConfigError: the target is there already, or the disk is full or read-only.
    """
    _check_file(target, force=force)
    with write_atomically(target) as file:
        torch.save(content, file)


def write_file(target: Path, write: Callable[[Path], Any], *, force: bool = False) -> None:
    """Let `write` fill a file beside the target, then put it in the target's place.

    Raises:
        ConfigError: the target is there already and `force` is not set, or it cannot be written.
    """
    _check_file(target, force=force)
    _fill(target, write, _replace_file)


def write_folder(target: Path, write: Callable[[Path], Any], *, force: bool = False) -> None:
    """Let `write` fill an empty folder beside the target, then put it in the target's place.

    Raises:
        ConfigError: the target is there already and `force` is not set, or it cannot be written.
    """
    check_target(target, force=force)
    if target.is_file():
        raise ConfigError(f"{target} is a file, and a folder is to be written. Give another --output.")

    def fill(fresh: Path) -> None:
        fresh.mkdir()
        write(fresh)
        sync_tree(fresh)

    _fill(target, fill, replace_folder)


def _check_file(target: Path, *, force: bool) -> None:
    check_target(target, force=force)
    if target.is_dir():
        raise ConfigError(f"{target} is a folder, and a file is to be written. Give another --output.")


def _fill(target: Path, write: Callable[[Path], Any], replace: Callable[[Path, Path], None]) -> None:
    fresh = name_partial(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove(fresh)
        write(fresh)
        replace(fresh, target)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror or error}. Nothing has changed.") from error
    finally:
        if fresh.exists():
            remove(fresh)


def _replace_file(fresh: Path, target: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    fresh.chmod(0o666 & ~mask)  # some writers make files that only their owner reads
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(fresh, target)
    sync_folder(target.parent)
