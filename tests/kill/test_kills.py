"""`kill -9` at random moments, again and again: what is resumed is the training that was not interrupted.

KILLS=50 (`make chaos`) kills more often; SEED takes other moments.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests import starts

CHAOS = Path(__file__).with_name("chaos.py")
KILLS = int(os.environ.get("KILLS", "5"))
SEED = os.environ.get("SEED", "4")
ELSEWHERE = Path("/dev/shm")


def run_chaos(out: Path, environment: dict[str, str]) -> dict[str, object]:
    plain = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    done = starts.run([str(CHAOS), str(out), str(KILLS), SEED], timeout=180 + 20 * KILLS, env=plain)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """The folder for temporary files lies on another file system where there is one: Lightning's own IO fails there."""
    elsewhere = {"TMPDIR": str(ELSEWHERE)} if ELSEWHERE.is_dir() else {}
    result = run_chaos(tmp_path, elsewhere)
    assert result["different"] == []
    assert result["kills"] == KILLS
    if KILLS >= 50:
        assert {"save", "step", "validation"} <= set(result["during"]), result  # type: ignore[arg-type]
    print(result)


def test_the_comparison_finds_a_difference(tmp_path: Path) -> None:
    """The test above can fail: two trainings that differ in one step are told apart."""
    sys.path.insert(0, str(CHAOS.parent))
    try:
        import chaos  # a script; importable only from its folder
        import torch
    finally:
        sys.path.pop(0)
    folders = [tmp_path / name for name in ("one", "other")]
    for folder, loss in zip(folders, ("0x1p0", "0x1.8p0"), strict=True):
        folder.mkdir()
        (folder / "diary.txt").write_text(f"step 1 {loss} 0-1 0 0\n")
        torch.save({"w": torch.ones(1)}, folder / "final.pt")
        states = {key: {} for key in ("callbacks", "loops", "optimizer_states", "lr_schedulers", "random_state")}
        torch.save({**states, "global_step": 1, "epoch": 0}, folder / "last.ckpt")
    assert chaos.compare(folders[0], folders[0]) == []
    assert len(chaos.compare(*folders)) == 2
