"""The maps of a plan in, plain content for hparams and checkpoints out, and back: their files are not needed again."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lightning_tying.algebra.expression import FileMap
from lightning_tying.errors import ConfigError
from lightning_tying.graph.reading.map_files import check_map
from lightning_tying.spec.mistakes import Mistake

MAPS_KEY = "maps"  # beside the keys of a spec, in hparams and checkpoints alone


def write_maps(maps: Mapping[str, FileMap]) -> dict[str, Any]:
    """As texts, numbers and lists; the entries as base64 of little-endian int64."""
    return {
        path: {
            "sha256": each.sha256,
            "shape": list(each.shape),
            "count": each.count,
            "content": base64.b64encode(each.content).decode("ascii"),
            **({"digest": each.digest} if each.digest else {}),
        }
        for path, each in maps.items()
    }


def read_maps(data: object) -> dict[str, FileMap]:
    """What `write_maps` wrote.

    Raises:
        ConfigError: the content is damaged.
    """
    try:
        written = cast("Mapping[str, Mapping[str, Any]]", data)
        return {
            path: FileMap(
                path,
                each["sha256"],
                tuple(each["shape"]),
                each["count"],
                base64.b64decode(each["content"], validate=True),
                str(each.get("digest", "")),
            )
            for path, each in written.items()
        }
    except (AttributeError, KeyError, TypeError, binascii.Error) as error:
        raise ConfigError(f"The maps that the checkpoint carries cannot be read ({error!r}).") from error


def check_maps(saved: Mapping[str, FileMap], mine: Mapping[str, FileMap], folder: Path | None) -> None:
    """Compare the maps of a checkpoint with those of the module that it is loaded into.

    Args:
        saved: the checkpoint's.
        mine: the module's, by the same paths.
        folder: what their paths are relative to.

    Raises:
        ConfigError: a map has another content: 78 of the language reference.
    """
    for path, each in saved.items():
        if path in mine and mine[path].sha256 != each.sha256:
            try:
                check_map(each, (folder or Path()) / path)
            except Mistake as mistake:
                raise ConfigError(str(mistake)) from mistake
            raise ConfigError(f"{path} is not the map that this checkpoint was made with.")  # the file is gone
