"""The files of united vocabularies: members and their row map go in, the content of each file by its path comes out."""

from __future__ import annotations

from pathlib import Path

from lightning_tying.vocab.rows.members import Members, json_of
from lightning_tying.vocab.rows.row_map import RowMap
from lightning_tying.vocab.rows.row_map_file import TENSORS, row_map_files

FOLDER = "members"


def united_files(members: Members, rows: RowMap, folder: Path) -> dict[Path, bytes]:
    """`rows.safetensors`, `rows.json`, and each member's `tokenizer.json` in `members/`, under the member's name."""
    own = {folder / FOLDER / f"{name}.json": json_of(member).encode() for name, member in members.items()}
    return {**own, **row_map_files(rows, folder / TENSORS)}
