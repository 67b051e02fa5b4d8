"""The map of a checkpoint and the file of today (error 78)."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from lightning_tying.algebra.expression import FileMap
from lightning_tying.graph.reading.map_files import check_map
from lightning_tying.spec.mistakes import Mistake


def test_the_same_file_and_a_missing_one_are_let_through(tmp_path: Path) -> None:
    file = tmp_path / "de.json"
    file.write_bytes(b"[0, 1]")
    kept = FileMap("maps/de.json", sha256(b"[0, 1]").hexdigest(), (2,), 2, bytes(16))

    check_map(kept, file)
    check_map(kept, tmp_path / "gone.json")


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "de.json"
    file.write_bytes(b"[1, 0]")
    before, now = sha256(b"[0, 1]").hexdigest(), sha256(b"[1, 0]").hexdigest()

    with pytest.raises(Mistake) as caught:
        check_map(FileMap("maps/de.json", before, (2,), 2, bytes(16)), file)

    assert caught.value.code == "78"
    assert caught.value.text == (
        f"maps/de.json is not the file this checkpoint was made with (SHA-256 {now[:4]}… against {before[:4]}…). "
        "Put it back, or load without the spec."
    )
