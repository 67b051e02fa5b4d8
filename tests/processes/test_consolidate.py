"""A sharded folder made one file: one process and two go on from it; and conflicts on one process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from lightning_tying.cli import main
from tests import starts

WORKER = Path(__file__).with_name("consolidate_worker.py")


def run(out: Path, processes: str, steps: int, checkpoint: Path | str = "", save: Path | str = "") -> None:
    words = [str(WORKER), str(out), processes, str(steps), str(checkpoint), str(save)]
    if processes == "two":
        starts.run_ranks(words, out.parent, timeout=200)
    else:
        done = starts.run(words, timeout=200, env=os.environ | {"OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`shards.ckpt` of two steps on two processes, and `whole.ckpt` made of it."""
    folder = tmp_path_factory.mktemp("consolidate")
    run(folder / "two.pt", "two", 2, save=folder / "shards.ckpt")
    words = ["checkpoint", "consolidate", str(folder / "shards.ckpt"), "--output", str(folder / "whole.ckpt")]
    assert main(words) == 0
    run(folder / "reference.pt", "one", 4)
    return folder


@pytest.mark.parametrize("processes", ["one", "two"])
def test_the_file_resumes(processes: str, folder: Path) -> None:
    """With a frozen parameter before the others and two groups, moments could go to the wrong parameters."""
    out = folder / f"resumed-{processes}.pt"
    run(out, processes, 4, folder / "whole.ckpt")
    wanted, found = torch.load(folder / "reference.pt"), torch.load(out)
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, msg=lambda text, name=name: f"{name}: {text}")


def test_a_conflict_that_one_process_sees_stops_all(folder: Path) -> None:
    """Else the others would wait for it for ever."""
    assert [(folder / f"two.rank{rank}").read_text() for rank in (0, 1)] == ["refused", "refused"]
