"""Whether a file is the one that a map was read from (error 78)."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from lightning_tying.algebra.expression import FileMap
from lightning_tying.algebra.maps.member_paths import split_member
from lightning_tying.spec.mistakes import Mistake

SHOWN_DIGITS = 4


def check_map(file_map: FileMap, path: Path) -> None:
    """Refuse another file than the one that a checkpoint was made with.

    Args:
        file_map: what the checkpoint holds.
        path: the file as it is now, with its member where it has one.

    Raises:
        Mistake: 78; one that does not exist or cannot be read is nothing to compare with, and is let through.
    """
    try:
        found = sha256(Path(split_member(str(path))[0]).read_bytes()).hexdigest()
    except OSError:
        return
    if found != file_map.sha256:
        sums = f"SHA-256 {found[:SHOWN_DIGITS]}… against {file_map.sha256[:SHOWN_DIGITS]}…"
        text = f"{file_map.path} is not the file this checkpoint was made with ({sums})."
        raise Mistake("78", f"{text} Put it back, or load without the spec.")
