"""A step in; the megabytes that it takes above the start out, measured so that freed memory counts as freed."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

# glibc keeps freed blocks below this size for itself, and every side would look alike.
MEASURED = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}


def peak_growth(step: Callable[[], object], rounds: int = 3) -> float:
    """Megabytes of resident memory at the peak of some steps, above what the process had before them.

    Args:
        step: run once before the measurement, so that an optimizer's state and caches are there.
        rounds: how many steps are measured.
    """
    step()
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = _resident()
    for _ in range(rounds):
        step()
    return (_high_water() - before) / 1024


def _field(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _resident() -> int:
    return _field("VmRSS")


def _high_water() -> int:
    try:
        return _field("VmHWM")
    except StopIteration:  # a kernel without it: the peak of the whole process
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
