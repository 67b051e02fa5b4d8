"""RunCheckpoint and AtomicCheckpoints under FSDP2: files and folders are replaced whole; a run goes on from them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.slow import slow

WORKER = Path(__file__).with_name("sharded_run_worker.py")


def run(out: Path, steps: int, kind: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, str(WORKER), str(out), str(steps), kind], capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return next(line for line in done.stdout.splitlines() if line.startswith("END")), done.stderr


@pytest.mark.parametrize(("kind", "mark"), [("sharded", "/"), pytest.param("full", "", marks=slow)])
def test_a_run_goes_on_and_leaves_whole_checkpoints(kind: str, mark: str, tmp_path: Path) -> None:
    names = f"best.ckpt{mark} last.ckpt{mark}"
    assert run(tmp_path, 3, kind)[0] == f"END 3 {names}"
    if kind == "sharded":  # a process was killed while it wrote, another one between two renames
        (tmp_path / "last.ckpt").rename(tmp_path / "last.ckpt.previous")
    end, said = run(tmp_path, 5, kind)
    assert end == f"END 5 {names}"
    assert said.count("checkpoint: ") == 1 and f"{tmp_path / 'last.ckpt'}" in said
    file = tmp_path / "last.ckpt" / "meta.pt" if kind == "sharded" else tmp_path / "last.ckpt"
    content = torch.load(file, weights_only=True)
    assert content["global_step"] == 5 and len(content["random_state"]) == 2
