"""A mode and cases go in; worker processes are started, and what each case gave comes out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import torch

from tests import starts
from tests.matrix.modes import MODES, REFERENCES
from tests.matrix.outcome import Outcome, read_outcome, refused
from tests.matrix.task import MatrixTask, weights_by_name

ROOT = Path(__file__).parents[2]
SECONDS = 600  # of one start; where there are many processes on few cores it takes half a minute to begin


def run_mode(mode: str, names: Iterable[str], out: Path, reference: Path, seconds: int = SECONDS) -> dict[str, Outcome]:
    """Train cases in one mode.

    A process that hangs or dies is started again with the cases that are left; one that it gets nowhere with failed.

    Args:
        mode: of `MODES` or `REFERENCES`.
        names: of `CASES`.
        out: a folder for what the workers write.
        reference: the folder of the reference `single`; the same as `out` for that itself.
        seconds: after which a start is ended.
    """
    out.mkdir(parents=True, exist_ok=True)
    kind = (MODES | REFERENCES)[mode]
    left: list[str] = list(names)
    found: dict[str, Outcome] = {}
    while left:
        tail = _start(mode, left, out, reference, seconds)
        before = len(left)
        for name in left:
            outcome = read_outcome(out, name, kind.processes, kind.accumulate)
            if outcome is not None:
                found[name] = outcome
        left = [name for name in left if name not in found]
        if len(left) == before:  # the first of them ends the process, or keeps it for ever
            found[left.pop(0)] = refused(f"failed: {tail}")
    return found


def _start(mode: str, names: list[str], out: Path, reference: Path, seconds: int) -> str:
    """Run one worker; its last words come back."""
    words = ["-m", "tests.matrix.worker", mode, str(out), str(reference), *names]
    kind = (MODES | REFERENCES)[mode]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    try:
        if kind.strategy == "fsdp2":
            starts.run_ranks(words, out, timeout=seconds, size=kind.processes, env=environment, cwd=ROOT)
            return ""
        return starts.run(words, timeout=seconds, env=environment, cwd=ROOT, merged=True).stdout[-1500:]
    except AssertionError as failed:
        return str(failed)[-1500:]
    except subprocess.TimeoutExpired as late:
        return f"no end after {seconds} s: {late.output[-1500:]}"


def first_weights(name: str) -> dict[str, torch.Tensor]:
    """What the shared and the other parameters of a case begin with."""
    return weights_by_name(MatrixTask(name, Path()).network)


def check_checkpoint(name: str, out: Path, outcome: Outcome) -> str:
    """Load the file that a mode saved at the end into a network of one process; the empty text when all is equal."""
    content = torch.load(out / f"{name}.ckpt", weights_only=True)
    task = MatrixTask(name, Path())
    task.on_load_checkpoint(content)
    task.load_state_dict(content["state_dict"])
    loaded = weights_by_name(task.network)
    differing = [key for key, weight in outcome.weights.items() if not torch.equal(weight, loaded[key])]
    return f"its checkpoint has other values of {', '.join(differing[:3])}" if differing else ""
