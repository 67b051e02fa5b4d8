"""Checkpoints that are there whole or not at all: a checkpoint goes in, a file that survives `kill -9` comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor, nn
from typing_extensions import override

from lightning_tying.checkpoints.atomic_write import sweep_partial, write_atomically

_PLAIN = (Tensor, nn.Parameter)


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its target, forces it to the disk, and gives it its name in one step.

    Lightning's own writes into the system's folder for temporary files; where that is another file system, a process
    that is killed leaves a broken file in the place of the good one. To be given to a trainer::

        Trainer(plugins=[AtomicCheckpoints()])

    Every strategy that writes one file takes it. Paths with a protocol (`s3://…`) are left to Lightning. Sharded
    checkpoints are folders, which strategies write by themselves: `RunCheckpoint` replaces those whole.
    """

    def __init__(self) -> None:
        self._swept: set[Path] = set()

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: what Lightning collected.
            path: the file.
            storage_options: not taken, as by Lightning's own.

        Raises:
            ConfigError: the folder or the disk does not take it; a file that was there is as it was.
            TypeError: `storage_options` are given.
        """
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        target = Path(path)
        self._sweep(target.parent)
        with write_atomically(target, count_bytes(checkpoint)) as file:
            torch.save(checkpoint, cast(Any, file))

    def _sweep(self, folder: Path) -> None:
        """Once a folder and process: later, half-written files may be those of a save that is under way."""
        if folder not in self._swept:
            self._swept.add(folder)
            sweep_partial(folder)

    def __getstate__(self) -> dict[str, Any]:
        """A process that is given this object begins anew."""
        return {"_swept": set()}


def count_bytes(content: object) -> int:
    """The bytes of all tensors of a nested mapping or list, each storage once; of special kinds of tensors none."""
    plain = (tensor for tensor in _walk(content) if tensor.layout is torch.strided and type(tensor) in _PLAIN)
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in plain}
    return sum(storages.values())


def _walk(content: object) -> Iterable[Tensor]:
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, Mapping):
        for value in cast("Mapping[Any, object]", content).values():
            yield from _walk(value)
    elif isinstance(content, list | tuple):
        for value in cast("list[object]", content):
            yield from _walk(value)
