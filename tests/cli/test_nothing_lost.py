"""Runs in processes of their own that meet a full disk, a broken checkpoint or an impatient user."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import torch

from tests import starts

Run = Callable[..., "subprocess.CompletedProcess[str]"]
RUN = Path("runs") / "multilingual_lm"
MOST_BYTES = 60_000  # enough for a tokenizer, not for a checkpoint


def step_of(path: Path) -> int:
    return torch.load(path, weights_only=True)["global_step"]


SMALL_DISK = f"""
import resource, signal, sys
from lightning_tying.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({MOST_BYTES}, {MOST_BYTES}))
sys.exit(main())
"""


def test_last_goes_on_from_what_can_be_read_and_a_full_disk_changes_nothing(
    run: Run, small: list[str], tmp_path: Path, environment: dict[str, str]
) -> None:
    folder = tmp_path / RUN
    quick = [*small, "--trainer.logger=false", "--ckpt_path=last"]
    begun = run("fit", *quick)
    assert begun.returncode == 0, begun.stderr
    assert "checkpoint: none yet, so the run begins" in begun.stderr

    best, last = folder / "best.ckpt", folder / "last.ckpt"
    last.write_bytes(last.read_bytes()[:5000])
    before = {path.name: path.read_bytes() for path in (best, last)}
    longer = [*quick, "--trainer.max_steps=6"]
    full = starts.run(["-c", SMALL_DISK, "fit", *longer], cwd=tmp_path, env=environment, timeout=200)
    assert full.returncode == 2, full.stderr
    assert "Traceback" not in full.stderr
    assert ".ckpt cannot be written: File too large." in full.stderr
    assert full.stderr.strip().endswith("The file that was there is as it was.")
    assert before == {path.name: path.read_bytes() for path in (best, last)}
    assert not [path for path in folder.iterdir() if path.name.endswith(".partial")]

    resumed = run("fit", *longer)
    assert resumed.returncode == 0, resumed.stderr
    assert "last.ckpt is no checkpoint, or was cut off" in resumed.stderr
    assert "checkpoint: " in resumed.stderr and "best.ckpt" in resumed.stderr
    assert step_of(last) == 6


def test_ctrl_c_twice_leaves_checkpoints_that_can_be_read(
    small: list[str], tmp_path: Path, environment: dict[str, str]
) -> None:
    words = ["fit", *small, "--trainer.max_steps=2000", "--trainer.val_check_interval=2", "--trainer.logger=false"]
    reader, writer = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
    with Path(os.devnull).open("w") as nothing, writer:
        process = starts.start(
            ["-m", "lightning_tying.cli", *words], out=nothing, error=writer, cwd=tmp_path, env=environment
        )
    with reader:
        for line in reader:
            if line.startswith("validation"):
                os.kill(process.pid, signal.SIGINT)
                os.kill(process.pid, signal.SIGINT)
                break
        rest = reader.read()
    assert process.wait(timeout=60) == 130, rest
    assert "Traceback" not in rest
    for path in (tmp_path / RUN).glob("*.ckpt"):
        assert step_of(path) >= 1
