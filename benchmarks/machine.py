"""Nothing in; a description of the machine out that a benchmark's report may show: no host name, no paths, no users."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Machine:
    """What a reader needs to know to compare timings.

    Attributes:
        processor: The processor's model name.
        cores: Cores this process may run on.
        caches: Sizes of the first core's caches by level.
        memory: Main memory in GiB.
        system: The operating system's name.
        python: Version of Python.
        torch: Version of torch.
        threads: Threads torch computes with.
    """

    processor: str
    cores: int
    caches: str
    memory: float
    system: str
    python: str
    torch: str
    threads: int

    def __str__(self) -> str:
        """One sentence for a report."""
        return (
            f"Machine: {self.processor}, {self.cores} cores ({self.threads} threads of torch), caches {self.caches}, "
            f"{self.memory:.0f} GiB, {self.system}; Python {self.python}, torch {self.torch}."
        )


def describe_machine() -> Machine:
    """Describe the machine that this process runs on."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        caches=_caches(),
        memory=_memory(),
        system=platform.system(),
        python=platform.python_version(),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
    )


def _processor() -> str:
    name = _field(_lines("/proc/cpuinfo"), "model name")
    return name or platform.processor() or platform.machine()


def _caches() -> str:
    """`L1 48K, L2 2048K, L3 32768K`, or `unknown`."""
    found: dict[str, str] = {}
    for cache in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (cache / "type").read_text(encoding="utf-8").strip() != "Instruction":
            level, size = ((cache / name).read_text(encoding="utf-8").strip() for name in ("level", "size"))
            found[f"L{level}"] = size
    return ", ".join(f"{level} {size}" for level, size in found.items()) or "unknown"


def _memory() -> float:
    kibibytes = _field(_lines("/proc/meminfo"), "MemTotal").removesuffix("kB").strip()
    if kibibytes:
        return int(kibibytes) / 2**20
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _lines(file: str) -> list[str]:
    return Path(file).read_text(encoding="utf-8").splitlines() if Path(file).exists() else []


def _field(lines: Iterable[str], name: str) -> str:
    """The value of the first line `name : value`, or nothing."""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
