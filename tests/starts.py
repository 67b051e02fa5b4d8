"""Words that follow `python` go in, a process that runs them comes out: `start`, and `run` for one that is waited for.

Where it can, the process is forked by a zygote (zygote.py) that has imported torch and Lightning once for this session
of pytest; elsewhere, or with REAL_STARTS=1, Python is started anew. A test whose subject is the start itself (what an
import loads, the installed program, Ctrl-C at the terminal) uses `subprocess` instead.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

ZYGOTE = Path(__file__).with_name("zygote.py")
REAL = os.environ.get("REAL_STARTS") == "1" or not Path("/proc/self/task").is_dir()
BEGIN = 200  # seconds in which a zygote must have imported everything, on a machine that does much else


class Process(Protocol):
    """What the tests use of `subprocess.Popen`."""

    returncode: Any
    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...


class Anew(subprocess.Popen[bytes]):
    """A process that Python was started anew for, as a session of its own."""

    def kill(self) -> None:
        """End it and what it started."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)


class Forked:
    """A process that the zygote forked."""

    def __init__(self, words: Sequence[str], status: int) -> None:
        self.words, self.status = words, status
        self.returncode: int | None = None
        self._read = b""
        self.pid = int(self._line(BEGIN) or 0)

    def _line(self, timeout: float | None) -> str | None:
        """The next line of the status pipe, or None when it does not come in time."""
        end = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._read:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self.status], [], [], left)[0]:
                return None
            part = os.read(self.status, 100)
            if not part:
                raise RuntimeError(f"the zygote ended before {self.words}")
            self._read += part
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def poll(self) -> int | None:
        if self.returncode is None and (line := self._line(0)) is not None:
            self._end(line)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            line = self._line(timeout)
            if line is None:
                raise subprocess.TimeoutExpired(list(self.words), timeout or 0.0)
            self._end(line)
        assert self.returncode is not None
        return self.returncode

    def _end(self, line: str) -> None:
        self.returncode = int(line)
        os.close(self.status)

    def kill(self) -> None:
        """End it and what it started."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.killpg(self.pid, signal.SIGKILL)


@functools.cache
def _zygote() -> socket.socket:
    """The socket of this session's zygote."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PL_")}
    one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(ZYGOTE), str(its.fileno())], pass_fds=[its.fileno()], env={**kept, **one},
        cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    its.close()
    atexit.register(_end, process, ours)
    if not select.select([ours], [], [], BEGIN)[0] or ours.recv(16) != b"ready":
        raise RuntimeError("the zygote of the tests did not begin; REAL_STARTS=1 does without it")
    return ours


def _end(process: subprocess.Popen[bytes], ours: socket.socket) -> None:
    ours.close()
    process.wait(timeout=20)


def start(
    words: Sequence[str], *, out: IO[Any], error: IO[Any] | None = None, env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Process:  # fmt: skip
    """Start what follows `python` on a command line.

    Args:
        words: `-m module …`, `-c code …` or `script.py …`.
        out: a file that stdout is written to.
        error: one for stderr; without it both go to `out`.
        env: the whole environment; without it, this process's.
        cwd: where it runs.
    """
    environment, folder = dict(os.environ if env is None else env), cwd or Path.cwd()
    if REAL:
        return Anew(
            [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=error or subprocess.STDOUT,
            env=environment, cwd=folder, start_new_session=True,
        )  # fmt: skip
    reader, writer = os.pipe()
    request = {"words": list(words), "env": environment, "cwd": str(folder)}
    socket.send_fds(_zygote(), [json.dumps(request).encode()], [out.fileno(), (error or out).fileno(), writer])
    os.close(writer)
    return Forked(words, reader)


def run(
    words: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None, cwd: Path | None = None,
    merged: bool = False,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Start, wait, and read what was written; as `subprocess.run(…, capture_output=True, text=True)`.

    Args:
        words: what follows `python`.
        timeout: seconds after which `TimeoutExpired` is raised; the process and what it started are ended.
        env: the whole environment; without it, this process's.
        cwd: where it runs.
        merged: whether stderr goes where stdout goes.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        process = start(words, out=out, error=out if merged else error, env=env, cwd=cwd)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired as late:
            late.output, late.stderr = _read(out), _read(error)
            raise
        finally:
            process.kill()
        return subprocess.CompletedProcess(list(words), code, _read(out), _read(error))


def run_ranks(
    words: Sequence[str], folder: Path, *, timeout: float, size: int = 2, env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:  # fmt: skip
    """Run the same words as every process of one group, as `torchrun` starts them; where one fails, all end.

    Args:
        words: what follows `python`.
        folder: where the output of each is written, to `log0`, `log1`, ….
        timeout: seconds that all of them may take.
        size: how many; one alone is told its rank, but of no group.
        env: the environment beside the variables of the group; without it, this process's.
        cwd: where they run.
    """
    group = {"WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1"}
    if size > 1:
        group |= {"LOCAL_WORLD_SIZE": str(size), "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "test"}
        group |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    logs = [folder / f"log{rank}" for rank in range(size)]
    started: list[Process] = []
    try:
        for rank, log in enumerate(logs):
            with log.open("wb") as file:
                own = {**(os.environ if env is None else env), **group, "RANK": str(rank), "LOCAL_RANK": str(rank)}
                started.append(start(words, out=file, env=own, cwd=cwd))
        end = time.monotonic() + timeout
        while any(process.poll() is None for process in started) and not any(each.returncode for each in started):
            assert time.monotonic() < end, f"no end after {timeout} s: {[log.read_text()[-3000:] for log in logs]}"
            time.sleep(0.02)
    finally:
        for process in started:
            process.kill()
    codes = [process.wait(timeout=20) for process in started]
    assert not any(codes), "\n".join(log.read_text()[-3000:] for log in logs)


def free_port() -> int:
    """A port of this machine that nothing listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
