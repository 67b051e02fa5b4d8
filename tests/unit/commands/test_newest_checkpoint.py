"""`--ckpt_path last`: the newest checkpoint that can be read, and what is said of the others."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.metadata import Metadata

from lightning_tying.callbacks.run_checkpoint import MID_STEP
from lightning_tying.commands.checkpoint_file import WRITTEN_BY_LIGHTNING, check_checkpoint
from lightning_tying.commands.newest_checkpoint import find_newest
from lightning_tying.errors import ConfigError


def write(path: Path, at: int, **more: object) -> Path:
    torch.save({WRITTEN_BY_LIGHTNING: "2.6", "state_dict": {"w": torch.zeros(300)}, **more}, path)
    os.utime(path, (at, at))
    return path


def test_the_newest_is_taken_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last, best = write(tmp_path / "last.ckpt", 10), write(tmp_path / "best.ckpt", 20)
    (tmp_path / ".last.ckpt.host-1.partial").write_bytes(b"half")
    assert find_newest([tmp_path, tmp_path / "nowhere"]) == best
    assert capsys.readouterr().err == f"checkpoint: {best}\n"
    os.utime(last, (20, 20))
    assert find_newest([tmp_path]) == last  # of equal times the last


@pytest.mark.parametrize("damage", ["cut", "zeros", "empty", "foreign"])
def test_a_broken_one_is_passed_over(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best, last = write(tmp_path / "best.ckpt", 10), write(tmp_path / "last.ckpt", 20)
    content = bytearray(last.read_bytes())
    if damage == "zeros":  # as after a power cut: the size is right, the bytes never arrived
        place = content.index(bytes(1000))
        content[place : place + 100] = b"x" * 100
    broken = {"cut": bytes(content[:700]), "zeros": bytes(content), "empty": b"", "foreign": b"a text"}[damage]
    last.write_bytes(broken)
    os.utime(last, (20, 20))
    assert find_newest([tmp_path]) == best
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"warning: {last} ") and second == f"checkpoint: {best}"


def test_one_of_the_middle_of_a_step_comes_last(tmp_path: Path) -> None:
    last = write(tmp_path / "last.ckpt", 10)
    best = write(tmp_path / "best.ckpt", 20, **{MID_STEP: True})
    assert find_newest([tmp_path]) == last
    last.unlink()
    assert find_newest([tmp_path]) == best


def test_none_begins_and_only_broken_ones_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_newest([tmp_path]) is None
    assert "so the run begins" in capsys.readouterr().err
    (tmp_path / "last.ckpt").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"last.ckpt is no checkpoint(.|\n)*Begin anew without --ckpt_path"):
        find_newest([tmp_path])


def test_a_folder_counts_when_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "last.ckpt.previous"  # a process was killed between two renames
    folder.mkdir()
    with pytest.raises(ConfigError, match="a folder without a whole checkpoint"):
        check_checkpoint(folder)
    write(folder / "meta.pt", 10)
    with pytest.raises(ConfigError, match="was not written by torch"):
        (folder / ".metadata").write_bytes(b"")
        find_newest([tmp_path])
    (folder / ".metadata").write_bytes(pickle.dumps(Metadata({})))
    assert find_newest([tmp_path]) == folder


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "last.ckpt", tmp_path / "pwned"
    torch.save({WRITTEN_BY_LIGHTNING: "2.6", "callbacks": Bomb(mark)}, path)
    with pytest.raises(ConfigError, match=r"holds more than tensors and plain values \(`(posix|nt).mkdir`\)"):
        check_checkpoint(path)
    check_checkpoint(path, trusted=True)  # Lightning will load it; the user said so
    assert not mark.exists()
