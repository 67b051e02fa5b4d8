"""Files and folders that are there whole or not at all: a path goes in, a file to write into comes out.

The bytes go into a file beside the target, are forced to the disk, and take the target's name in one step. A process
that is killed leaves the old file untouched and, at most, a file whose name ends in `.partial`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Generator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from typing_extensions import override

from lightning_tying.errors import ConfigError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PARTIAL = ".partial"
PREVIOUS = ".previous"  # a folder that is being replaced has this name for a moment


class _Watched(FileIO):
    """A file that remembers why a write failed: what writes through C++ reports another error."""

    failure: OSError | None = None

    @override
    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view):  # a raw file may take a part only
                done += super().write(view[done:]) or 0
        except OSError as error:
            self.failure = error
            raise
        return done


@contextmanager
def write_atomically(path: Path, needed: int | None = None) -> Generator[FileIO]:
    """Open a file that takes the name `path` when the block ends without an error.

    A symbolic link at `path` is replaced, not followed.

    Args:
        path: the file; its folder is made.
        needed: how many bytes are about to be written, for the message.

    Raises:
        ConfigError: the folder or the disk does not take the file; a file that was there is as it was.
    """
    partial = name_partial(path)
    watched: _Watched | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _Watched(partial, "w") as watched:
            yield watched
            os.fsync(watched.fileno())
        os.replace(partial, path)
        sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        failure = watched.failure if watched is not None and watched.failure is not None else error
        if isinstance(failure, OSError):
            raise ConfigError(_explain(path, failure, needed)) from error
        raise


def replace_folder(new: Path, target: Path) -> None:
    """Give a whole folder the name of another, which is set aside until that is done and then removed.

    Args:
        new: the folder, beside the target.
        target: a folder, a file, or nothing yet.
    """
    aside = target.with_name(target.name + PREVIOUS)
    if target.exists() or target.is_symlink():
        remove(aside)
        os.rename(target, aside)
    os.rename(new, target)
    sync_folder(target.parent)
    remove(aside)


def sync_tree(folder: Path) -> None:
    """Force all files of a folder to the disk."""
    for file in (each for each in folder.rglob("*") if each.is_file()):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Force a folder's names to the disk, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def name_partial(path: Path) -> Path:
    """The name beside `path` under which this process writes it."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}{PARTIAL}")


def sweep_partial(folder: Path) -> list[Path]:
    """Remove what dead processes of this computer left half written; to be called before the first write.

    Args:
        folder: where to look; not below.

    Returns:
        What was removed.
    """
    if not folder.is_dir():
        return []
    dead = [path for path in folder.glob(f".*{PARTIAL}") if _is_left_over(path.name)]
    for path in dead:
        with contextlib.suppress(OSError):
            remove(path)
    return dead


def _is_left_over(name: str) -> bool:
    host, dash, number = name.removesuffix(PARTIAL).rpartition(".")[2].rpartition("-")
    if not dash or host != _host() or not number.isdigit():
        return False
    return int(number) == os.getpid() or not _is_alive(int(number))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


def _host() -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in socket.gethostname())


def _explain(path: Path, error: OSError, needed: int | None) -> str:
    folder = next((each for each in (path.parent, *path.parent.parents) if each.is_dir()), None)
    space = kept = ""
    if isinstance(error, FileExistsError | NotADirectoryError):
        reason = f"{path.parent} is no folder"
    else:
        reason = error.strerror or str(error)
    if folder is not None and needed is not None and error.errno in _NO_SPACE:
        free = shutil.disk_usage(folder).free
        space = f" About {needed / 1e6:,.1f} MB are needed, and {free / 1e6:,.1f} MB are free there."
    with contextlib.suppress(OSError):
        kept = " The file that was there is as it was." if path.exists() else ""
    return f"{path} cannot be written: {reason}.{space}{kept}"
