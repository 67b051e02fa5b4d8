"""RunCheckpoint and AtomicCheckpoints under FSDP2: files and folders are replaced whole; a run goes on from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests import starts
from tests.slow import slow

WORKER = Path(__file__).with_name("sharded_run_worker.py")


def run(out: Path, logs: Path, steps: int, kind: str) -> tuple[str, str]:
    logs.mkdir()
    starts.run_ranks([str(WORKER), str(out), str(steps), kind], logs, timeout=240)
    said = "".join((logs / f"log{rank}").read_text() for rank in range(2))
    return next(line for line in said.splitlines() if line.startswith("END")), said


@pytest.mark.parametrize(("kind", "mark"), [("sharded", "/"), pytest.param("full", "", marks=slow)])
def test_a_run_goes_on_and_leaves_whole_checkpoints(kind: str, mark: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    names = f"best.ckpt{mark} last.ckpt{mark}"
    assert run(out, tmp_path / "first", 3, kind)[0] == f"END 3 {names}"
    if kind == "sharded":  # a process was killed while it wrote, another one between two renames
        (out / "last.ckpt").rename(out / "last.ckpt.previous")
    end, said = run(out, tmp_path / "second", 5, kind)
    assert end == f"END 5 {names}"
    assert said.count("checkpoint: ") == 1 and f"{out / 'last.ckpt'}" in said
    file = out / "last.ckpt" / "meta.pt" if kind == "sharded" else out / "last.ckpt"
    content = torch.load(file, weights_only=True)
    assert content["global_step"] == 5 and len(content["random_state"]) == 2
