"""Row maps as files: a map goes in, `rows.safetensors` and `rows.json` come out; and read back, checked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, cast

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows.int_tensors import read_vectors, write_vectors
from lightning_tying.vocab.rows.members import Members, check_members
from lightning_tying.vocab.rows.row_map import RowMap
from lightning_tying.whole_files import write_together

TENSORS = "rows.safetensors"
SIDECAR = "rows.json"
CANONICAL = "the bytes of the text, and whether a word starts"
_FORMAT = 1


def save_row_map(rows: RowMap, path: str | os.PathLike[str]) -> Path:
    """Write `rows.safetensors` (for each member an int32 vector; metadata `rows`) and the JSON beside it.

    Both are written before either is put in its place, and the JSON has the SHA-256 of both, so that one without
    the other, two that do not belong together, and damage are noticed.

    Args:
        rows: the map.
        path: a folder, or the path of the `.safetensors` file, whose JSON has the same name.

    Returns:
        The path of the `.safetensors` file.

    Raises:
        ConfigError: the files cannot be written.
    """
    target = _tensor_path(Path(path))
    write_together(row_map_files(rows, target))
    return target


def row_map_files(rows: RowMap, target: Path) -> dict[Path, bytes]:
    """The contents of both files by their paths."""
    tensors = write_vectors(rows.members, {"rows": str(rows.n_rows), "policy": rows.policy})
    said = _describe(rows)
    sidecar = json.dumps({**said, "sha256": _digest(said, tensors)}, indent=1, ensure_ascii=False) + "\n"
    return {target: tensors, target.with_suffix(".json"): sidecar.encode()}


def load_row_map(path: str | os.PathLike[str], vocabularies: Members | None = None) -> RowMap:
    """Read and check a row map: range, onto, special tokens, digests, sizes.

    Args:
        path: the folder, or either of the two files.
        vocabularies: the members, to check that the map was made for them.

    Raises:
        ConfigError: a file is missing, damaged or not of the other one, the map breaks a rule (see
            `RowMap.check`), or it was made for other vocabularies.
    """
    target = _tensor_path(Path(path))
    tensors, written = _read(target), _read(target.with_suffix(".json"))
    try:
        sidecar = _read_sidecar(written)
    except ValueError as error:
        raise ConfigError(f"{target.with_suffix('.json')} is not a row map's: {error}.") from error
    if sidecar.pop("sha256") != _digest(sidecar, tensors):
        raise ConfigError(
            f"{target} and {target.with_suffix('.json').name} beside it do not belong together, or one is damaged; "
            "make them anew with `lightning-tying vocab unite`."
        )
    try:
        vectors, metadata = read_vectors(tensors)
        if metadata.get("rows") != str(sidecar["rows"]) or set(vectors) != set(sidecar["digests"]):
            raise ValueError("its members or the number of its rows are not those of the JSON beside it")
        ordered = {name: vectors[name] for name in sidecar["digests"]}  # the format sorts as it likes
        rows = RowMap(ordered, sidecar["rows"], sidecar["digests"], sidecar["policy"], sidecar["specials"])
    except (ValueError, ConfigError) as error:
        raise ConfigError(f"{target} is no row map: {error}") from error
    if vocabularies is not None:
        check_members(rows, vocabularies)
    return rows


def _tensor_path(path: Path) -> Path:
    return path.with_suffix(".safetensors") if path.suffix in (".safetensors", ".json") else path / TENSORS


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"The row map's file {path} cannot be read: {error.strerror or error}. `lightning-tying vocab unite` "
            f"writes {TENSORS} and {SIDECAR}; keep both together."
        ) from error


def _digest(said: Mapping[str, object], tensors: bytes) -> str:
    """The SHA-256 of both files' contents, however the JSON is laid out."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode() + tensors).hexdigest()


def _describe(rows: RowMap) -> dict[str, object]:
    pairs = list(combinations(rows.members, 2))
    readers = rows.readers()
    return {
        "format": _FORMAT,
        "canonical_form": CANONICAL,
        "policy": rows.policy,
        "rows": rows.n_rows,
        "ids": rows.n_ids,
        "saved": rows.saved,
        "digests": dict(rows.digests),
        "specials": {name: dict(own) for name, own in rows.specials.items()},
        "shared_rows": int((readers > 1).sum()),
        "shared_by_pair": {f"{one} {other}": rows.shared_with(one, other) for one, other in pairs},
    }


def _read_sidecar(content: bytes) -> dict[str, Any]:
    try:
        data: Any = json.loads(content)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("it nests too deep") from None
    if not isinstance(data, dict):
        raise ValueError("it is not a mapping")
    found = cast("dict[str, Any]", data)
    if found.get("format") != _FORMAT:
        raise ValueError(f"its format is {found.get('format')!r}, and this version reads {_FORMAT}")
    kinds = {"policy": str, "rows": int, "sha256": str, "digests": dict, "specials": dict}
    wrong = [key for key, kind in kinds.items() if not isinstance(found.get(key), kind)]
    if wrong or not _are_specials(found["specials"]) or not _are_texts(found["digests"]):
        raise ValueError(f"its `{wrong[0] if wrong else 'specials` or `digests'}` is missing or of another kind")
    return found


def _are_texts(mapping: Mapping[str, object]) -> bool:
    return all(isinstance(value, str) for value in mapping.values())


def _are_specials(mapping: Mapping[str, object]) -> bool:
    for own in mapping.values():
        if not isinstance(own, dict):
            return False
        if not all(isinstance(id, int) for id in cast("Mapping[str, object]", own).values()):
            return False
    return True
