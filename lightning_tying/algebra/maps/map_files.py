"""The path of a map in; its content as a `FileMap` out, or the mistake that says what is wrong with the file."""

from __future__ import annotations

import sys
from array import array
from hashlib import sha256
from pathlib import Path

from lightning_tying.algebra.expression import FileMap
from lightning_tying.algebra.maps.kept_maps import find_kept
from lightning_tying.algebra.maps.map_formats import MapContent, parse_json, parse_safetensors
from lightning_tying.spec.mistakes import Mistake

MOST_BYTES = 1 << 30
_MOST_BESIDE = 8
_PARSERS = {".json": parse_json, ".safetensors": parse_safetensors}


def read_map(path: str, folder: Path | None = None, where: str = "") -> FileMap:
    """Read a map from a `.json` or `.safetensors` file, or take the one that a checkpoint carries.

    Args:
        path: as written in the spec, captures replaced.
        folder: what the path is relative to; None is the working directory.
        where: what the captures are and at which site, for messages: `lang = 'fr' at embed.fr.weight`.

    Raises:
        Mistake: 76, the file does not exist, cannot be read, is too large or no map.
    """
    kept = find_kept(path)
    if kept is not None:
        return kept
    place = f" ({where})" if where else ""
    content = _read_bytes(path, (folder or Path()) / path, place)
    try:
        parsed = _PARSERS[Path(path).suffix.lower()](content)
    except KeyError:
        text = f"{path} is no map{place}: a map is a .json or a .safetensors file."
        raise Mistake("76", text) from None
    except (ValueError, RecursionError) as error:
        reason = "it nests too deep" if isinstance(error, RecursionError) else str(error)
        raise Mistake("76", f"{path} is no map{place}: {reason}.") from None
    return _make_map(path, place, content, parsed)


def _read_bytes(path: str, file: Path, place: str) -> bytes:
    try:
        if not file.exists():
            raise Mistake("76", f"{path} does not exist{place}.{_list_beside(file)}")
        if not file.is_file():
            kind = "a folder" if file.is_dir() else "no file"
            raise Mistake(
                "76", f"{path} is {kind}{place}. A map is a .json or a .safetensors file.{_list_beside(file)}"
            )
        if file.stat().st_size > MOST_BYTES:
            raise Mistake("76", f"{path} is larger than {MOST_BYTES >> 30} GiB{place}; no map is read from it.")
        return file.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Mistake("76", f"{path!r} cannot be read{place}: {reason}.") from None


def _list_beside(file: Path) -> str:
    """The maps in the folder where one was looked for."""
    try:
        names = sorted(one.name for one in file.parent.iterdir() if one.suffix.lower() in _PARSERS and one.is_file())
    except OSError:
        return ""
    more = ", …" if len(names) > _MOST_BESIDE else ""
    return f" Beside it: {', '.join(names[:_MOST_BESIDE])}{more}." if names else ""


def _make_map(path: str, place: str, content: bytes, parsed: MapContent) -> FileMap:
    largest = max(parsed.entries, default=-1)
    rows = parsed.rows
    if rows is not None and largest >= rows:
        entry = parsed.entries.index(largest)
        raise Mistake("76", f"{path} is no map{place}: it says {rows} rows, and names {largest} at entry {entry}.")
    count = max(largest + 1, 0) if rows is None else rows
    return FileMap(path, sha256(content).hexdigest(), parsed.shape, count, _write_little(parsed.entries))


def _write_little(entries: array[int]) -> bytes:
    if sys.byteorder == "big":
        entries.byteswap()
    return entries.tobytes()
