"""A checkpoint that cannot be gone on from: exit status 2 and one message, before anything is made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lightning_tying.cli import main

BASE = Path(__file__).parents[2] / "cli" / "base_config.yaml"


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("pwned",)


def cut(path: Path) -> None:
    torch.save({"pytorch-lightning_version": "2.6", "w": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "The checkpoint x.ckpt does not exist (--ckpt_path)."),
    "cut off": (cut, "x.ckpt is no checkpoint, or was cut off while it was written."),
    "empty": (lambda path: path.touch(), "x.ckpt is no checkpoint, or was cut off while it was written."),
    "a text": (lambda path: path.write_text("hello"), "x.ckpt is no checkpoint, or was cut off"),
    "a folder": (lambda path: path.mkdir(), "The checkpoint x.ckpt is a folder without a whole checkpoint in it"),
    "weights": (lambda path: torch.save({"w": torch.zeros(1)}, path), "x.ckpt was not written by Lightning"),
    "a tensor": (lambda path: torch.save(torch.zeros(1), path), "x.ckpt was not written by Lightning"),
    "code": (lambda path: torch.save({"a": Bomb()}, path), "x.ckpt holds more than tensors and plain values (`"),
}


@pytest.mark.parametrize("name", list(CASES))
def test_one_message_and_nothing_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write, expected = CASES[name]
    write(Path("x.ckpt"))
    before = sorted(tmp_path.iterdir())
    assert main(["fit", "--config", str(BASE), "--ckpt_path", "x.ckpt"]) == 2
    told = capsys.readouterr().err.strip()
    assert expected in told and "Traceback" not in told
    assert told.count("\n") == 0
    assert sorted(tmp_path.iterdir()) == before
