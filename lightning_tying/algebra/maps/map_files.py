"""The path of a map in; its content as a `FileMap` out, or the mistake that says what is wrong with the file."""

from __future__ import annotations

import sys
from array import array
from hashlib import sha256
from pathlib import Path

from lightning_tying.algebra.expression import FileMap
from lightning_tying.algebra.maps.kept_maps import find_kept
from lightning_tying.algebra.maps.map_formats import MapContent, MissingTensor, parse_json, parse_safetensors
from lightning_tying.algebra.maps.member_digests import read_member_digest
from lightning_tying.algebra.maps.member_paths import split_member
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import nearest_name

MOST_BYTES = 1 << 30
MOST_MEMBERS = 30
_MOST_BESIDE = 8
_PARSERS = {".json": parse_json, ".safetensors": parse_safetensors}


def read_map(path: str, folder: Path | None = None, where: str = "") -> FileMap:
    """Read a map from a `.json` or `.safetensors` file, or take the one that a checkpoint carries.

    Args:
        path: as written in the spec, captures replaced; `rows.safetensors#de` is one member of a row-map file.
        folder: what the path is relative to; None is the working directory.
        where: what the captures are and at which site, for messages: `lang = 'fr' at embed.fr.weight`.

    Raises:
        Mistake: 76, the file does not exist, cannot be read, is too large or no map.
    """
    kept = find_kept(path)
    if kept is not None:
        return kept
    place = f" ({where})" if where else ""
    name, member = split_member(path)
    file = (folder or Path()) / name
    content = _read_bytes(name, file, place)
    try:
        parsed = _parse(name, member, content)
    except MissingTensor as missing:
        if member is None:
            raise Mistake("76", f"{path} is no map{place}: {missing}.") from None
        raise Mistake("76", f"{name} has no member `{member}`{place}.{_list_members(member, missing)}") from None
    except KeyError:
        text = f"{name} is no map{place}: a map is a .json or a .safetensors file."
        raise Mistake("76", text) from None
    except (ValueError, RecursionError) as error:
        reason = "it nests too deep" if isinstance(error, RecursionError) else str(error)
        raise Mistake("76", f"{path} is no map{place}: {reason}.") from None
    digest = "" if member is None else read_member_digest(name, file, member, place)
    return _make_map(path, place, content, parsed, digest)


def _parse(name: str, member: str | None, content: bytes) -> MapContent:
    if member is None:
        return _PARSERS[Path(name).suffix.lower()](content)
    if not name.lower().endswith(".safetensors"):
        raise ValueError("only a .safetensors file has members; write its path before the #")
    return parse_safetensors(content, member)


def _list_members(member: str, missing: MissingTensor) -> str:
    near = nearest_name(member, missing.names)
    nearest = f" Nearest: {near}." if near is not None else ""
    more = ", …" if len(missing.names) > MOST_MEMBERS else ""
    return f"{nearest} Its members: {', '.join(missing.names[:MOST_MEMBERS]) or 'none'}{more}."


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


def _make_map(path: str, place: str, content: bytes, parsed: MapContent, digest: str) -> FileMap:
    largest = max(parsed.entries, default=-1)
    rows = parsed.rows
    if rows is not None and largest >= rows:
        entry = parsed.entries.index(largest)
        raise Mistake("76", f"{path} is no map{place}: it says {rows} rows, and names {largest} at entry {entry}.")
    count = max(largest + 1, 0) if rows is None else rows
    return FileMap(path, sha256(content).hexdigest(), parsed.shape, count, _write_little(parsed.entries), digest)


def _write_little(entries: array[int]) -> bytes:
    if sys.byteorder == "big":
        entries.byteswap()
    return entries.tobytes()
