"""The folder of a sharded checkpoint goes in; what it holds, or whole tensors, come out. No code in it is run."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# torch's distributed checkpoints are typed in part only.

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import (
    _EmptyStateDictLoadPlanner,  # pyright: ignore[reportPrivateUsage]  # what Lightning reads such a folder with
)
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import BytesStorageMetadata, Metadata
from torch.distributed.checkpoint.planner import ReadItem
from torch.distributed.checkpoint.state_dict_loader import (
    _load_state_dict,  # pyright: ignore[reportPrivateUsage]  # the same
)
from typing_extensions import override

from lightning_tying.checkpoints.check_form import check_form
from lightning_tying.errors import ConfigError

METADATA = ".metadata"
EXTRA = "meta.pt"
_KNOWN: dict[str, set[str]] = {  # what torch puts into .metadata
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata", "ChunkStorageMetadata", "Metadata", "MetadataIndex", "StorageMeta",
        "TensorProperties", "TensorStorageMetadata", "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size", *(name for name, value in vars(torch).items() if type(value) is torch.dtype)},
    "collections": {"OrderedDict", "defaultdict"},
    "pathlib": {"Path", "PosixPath", "WindowsPath"},
}  # fmt: skip


def read_metadata(folder: Path) -> Metadata:
    """The names, shapes and types of all that a sharded checkpoint holds.

    Raises:
        ConfigError: the file is missing, cut off, or names anything but what torch writes there.
    """
    try:
        with (folder / METADATA).open("rb") as file:
            content = _MetadataUnpickler(file).load()
    except OSError as error:
        raise ConfigError(f"{folder / METADATA} cannot be read: {error.strerror}.") from error
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError, ImportError, KeyError) as error:
        raise ConfigError(f"{folder / METADATA} was not written by torch, or was cut off: {error}.") from error
    if not isinstance(content, Metadata):
        raise ConfigError(f"{folder / METADATA} was not written by torch.")
    return content


def check_folder(folder: Path) -> None:
    """Refuse a sharded checkpoint in which torch's own reader would run code; tensors are not read.

    That reader unpickles `.metadata` and every saved value that is no tensor.

    Raises:
        ConfigError: one of them is cut off, or names anything but what torch writes there.
    """
    metadata = read_metadata(folder)
    places = cast("Mapping[Any, Any]", metadata.storage_data or {})
    for name, entry in metadata.state_dict_metadata.items():
        if isinstance(entry, BytesStorageMetadata):
            for index, place in places.items():
                if getattr(index, "fqn", None) == name:
                    _check_value(folder, str(name), place)


def _check_value(folder: Path, name: str, place: Any) -> None:
    """Read one saved value that is no tensor, as plain content."""
    try:
        with (folder / place.relative_path).open("rb") as file:
            file.seek(place.offset)
            torch.load(io.BytesIO(file.read(place.length)), map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConfigError(f"{folder} is not a whole sharded checkpoint: {error.strerror}.") from error
    except Exception as error:  # whatever bytes can do
        raise ConfigError(
            f"{folder} holds more than tensors and plain values under `{name}`, or was cut off. Loading it could run "
            "any code."
        ) from error


def read_extra(file: Path) -> dict[str, Any]:
    """What Lightning keeps beside the shards: loops, callbacks, hyperparameters.

    Raises:
        ConfigError: it is missing, cut off, or holds more than plain content.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ConfigError(f"{file} does not exist, so the sharded checkpoint {file.parent} is not whole.") from error
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{file} is cut off, or holds more than plain content: {reason}") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{file} was not written by Lightning.")
    check_form(cast("Mapping[Any, Any]", content), file)
    return dict(cast("Mapping[str, Any]", content))


def read_shards(folder: Path) -> dict[str, Any]:
    """All tensors of a sharded checkpoint, whole, in the nesting in which they were saved.

    Raises:
        ConfigError: a shard is missing or cut off.
    """
    whole: dict[str, Any] = {}
    read_metadata(folder)  # what is wrong with it is told by itself
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that this is one process
            _load_state_dict(whole, storage_reader=_PlainReader(folder), planner=_PlainPlanner(), no_dist=True)
    except (Exception, CheckpointException) as error:  # torch's own is no Exception
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise ConfigError(f"{folder} is not a whole sharded checkpoint: {reason[0]}") from error
    return whole


class _MetadataUnpickler(pickle.Unpickler):
    """Finds the classes that torch writes and no others."""

    @override
    def find_class(self, module: str, name: str) -> Any:
        if name not in _KNOWN.get(module, ()):
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


class _PlainReader(FileSystemReader):
    """torch's reader, which would run what `.metadata` names."""

    @override
    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        metadata = read_metadata(Path(cast(str, self.path)))
        empty = getattr(metadata, "storage_meta", None)
        if empty is not None:
            empty.load_id = self.load_id
        return metadata


class _PlainPlanner(_EmptyStateDictLoadPlanner):
    """torch's planner, which would run what a saved value that is no tensor names."""

    @override
    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        content = torch.load(value, map_location="cpu", weights_only=True)
        super().load_bytes(read_item, _save(content))


def _save(content: object) -> io.BytesIO:
    """Plain content as torch's own planner reads it; safe by now."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    buffer.seek(0)
    return buffer
