"""Checkpoints of a stranger at `lightning-tying checkpoint` and at a resume: nothing of them runs, each is refused."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import save

from lightning_tying import build
from lightning_tying.checkpoints.saved_sharing import hash_spec
from lightning_tying.checkpoints.sharded_folder import check_folder
from lightning_tying.cli import main
from lightning_tying.commands.checkpoint_file import check_checkpoint
from lightning_tying.commands.checkpoints.import_weights import make_checkpoint
from lightning_tying.errors import ConfigError

RUN = """\
model:
  class_path: lightning_tying.tasks.LanguageModeling
  init_args:
    network:
      class_path: lightning_tying.models.DecoderLM
      init_args: {vocab_size: 30, dim: 8, depth: 1, heads: 2}
    sharing: {share: [{tie: [embed.weight, head.weight]}]}
"""
EVIL = 'version: 1\nshare:\n  - sites: "head.weight"\n    equals: "evil_module.Run(W)"\n'
ALIASES = "a: &a [x, x]\nb: &b [*a, *a]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "evil_module.py").write_text("from pathlib import Path\nPath(__file__).with_name('pwned').touch()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "config.yaml").write_text(RUN)
    return tmp_path


def write(folder: Path, **changes: Any) -> str:
    content = make_checkpoint(build(folder / "config.yaml"))
    content["sharing"] = {**content["sharing"], **changes}
    torch.save(content, folder / "a.ckpt")
    return str(folder / "a.ckpt")


COMMANDS = {
    "migrate": ["--to", "none"],
    "torch-export": ["--format=torch-export"],
    "hf": ["--format=hf"],
}


@pytest.mark.parametrize("name", list(COMMANDS))
@pytest.mark.parametrize("spec", [EVIL, "a: [", ALIASES, "a: !!python/object/apply:os.getpid []"])
def test_the_spec_of_a_checkpoint_runs_nothing(
    name: str, spec: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(folder, spec=spec, hash=hash_spec(spec))
    command = "migrate" if name == "migrate" else "export"
    assert main(["checkpoint", command, file, *COMMANDS[name], "--output", str(folder / "out")]) == 2
    error = capsys.readouterr().err
    assert error.strip() and "Traceback" not in error
    assert not (folder / "pwned").exists() and "evil_module" not in sys.modules and not (folder / "out").exists()
    if spec == EVIL:
        assert "a checkpoint may not import modules" in error


def test_a_spec_that_changed_since_it_was_saved_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(folder, hash="0" * 64)
    assert main(["checkpoint", "migrate", file, "--to", "none", "--output", str(folder / "out")]) == 2
    assert "damaged" in capsys.readouterr().err


def test_groups_that_lie_lose_no_tensor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(folder, groups={"network.embed.weight": ["network.layers.0.attn.q.weight"]})
    assert main(["checkpoint", "export", file, "--format=safetensors", "--output", str(folder / "out")]) == 2
    assert "one shared tensor, and their values differ" in capsys.readouterr().err
    assert not (folder / "out").exists()


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def write_folder(folder: Path, value: object) -> Path:
    shards = folder / "shards.ckpt"
    content = {"state_dict": nn.Linear(2, 2).state_dict(), "optimizer_0": {"value": value}}
    save(content, storage_writer=FileSystemWriter(shards), no_dist=True)
    torch.save({"pytorch-lightning_version": "2.6.6"}, shards / "meta.pt")
    return shards


def test_an_honest_folder_is_taken(tmp_path: Path) -> None:
    check_checkpoint(write_folder(tmp_path, {"lr": 0.1, "name": "x"}))


@pytest.mark.parametrize("place", ["metadata", "value"])
def test_a_folder_of_shards_runs_nothing_before_it_is_resumed(place: str, tmp_path: Path) -> None:
    mark = tmp_path / "pwned"
    shards = write_folder(tmp_path, Bomb(mark) if place == "value" else 1)
    if place == "metadata":
        (shards / ".metadata").write_bytes(pickle.dumps(Bomb(mark)))
    for check in (check_folder, check_checkpoint):
        with pytest.raises(ConfigError, match=r"was not written by torch|could run any code"):
            check(shards)
    assert not mark.exists()
    check_checkpoint(shards, trusted=True)  # the user said --weights_only false
