"""Requests to start Python come in on a socket, processes that have torch and Lightning already go out.

Started by `tests.starts` as `zygote.py FD`. It imports what every process of the tests imports and then forks one
process for each request: a start of a few hundredths of a second instead of some seconds. It runs no tensor and has
no thread of its own, so a fork is a whole process. Each fork is a session of its own, with the working folder, the
environment, the words and the output of its request; it ends as Python ends any process.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import types
import warnings

GIVEN = [os.path.abspath(each) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
PLAIN_PATH = [each for each in sys.path[1:] if each not in GIVEN]  # nor the folder of this file
LOADED = (
    "torch.distributed.fsdp", "torch.distributed.tensor.parallel", "torch.distributed.checkpoint.state_dict",
    "torch.utils.tensorboard", "lightning.pytorch.cli", "lightning.pytorch.loggers", "lightning.pytorch.strategies",
    "lightning_tying.commands.run", "lightning_tying.tasks", "lightning_tying.data", "lightning_tying.models",
    "lightning_tying.callbacks",
)  # fmt: skip
LONGEST = 1 << 18  # bytes of a request


def serve(control: socket.socket) -> list[str] | None:
    """Fork for each request until the socket is closed; in a fork, the words that it is to run come back."""
    sender, wakeup = socket.socketpair()
    sender.setblocking(False)
    wakeup.setblocking(False)
    signal.set_wakeup_fd(sender.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, wakeup], [], [])
        if wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                wakeup.recv(4096)
            tell_ended(running)
        if control not in ready:
            continue
        message, files, _, _ = socket.recv_fds(control, LONGEST, 3)
        if not message:
            for child in running:
                os.killpg(child, signal.SIGKILL)
            return None
        out, error, status = files
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (control, sender, wakeup):
                each.close()
            for each in (*running.values(), status):
                os.close(each)
            return become(json.loads(message), out, error)
        os.close(out)
        os.close(error)
        running[child] = status
        os.write(status, f"{child}\n".encode())


def tell_ended(running: dict[int, int]) -> None:
    """Write how each process ended to the pipe of its request."""
    while running:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        pipe = running.pop(child)
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os.close(pipe)


def become(request: dict[str, object], out: int, error: int) -> list[str]:
    """Make this fork the process that was asked for."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nothing, out, error)):
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(str(request["cwd"]))
    environment: dict[str, str] = request["env"]  # type: ignore[assignment]
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # of the environment that was; so is the rank that Lightning read when it was imported
    if "lightning" in sys.modules:
        rank_zero = importlib.import_module("lightning.fabric.utilities.rank_zero")
        rank_zero.rank_zero_only.rank = rank_zero._get_rank() or 0
    if environment.get("PYTHONWARNINGS", "").startswith("ignore"):
        warnings.simplefilter("ignore")
    added = [os.path.abspath(each) for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:] = [*added, *PLAIN_PATH]
    importlib.invalidate_caches()
    return request["words"]  # type: ignore[return-value]


def run(words: list[str]) -> None:
    """Run what follows `python` on a command line: `-m module …`, `-c code …` or `script.py …`."""
    first, *rest = words
    if first == "-m":
        sys.path.insert(0, os.getcwd())
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *rest[1:]]
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)  # as `python -c` does
    else:
        sys.path.insert(0, os.path.dirname(os.path.abspath(first)))
        sys.argv = words
        runpy.run_path(first, run_name="__main__")


def main() -> None:
    for name in LOADED:
        importlib.import_module(name)
    if threading.active_count() > 1 or len(os.listdir("/proc/self/task")) > 1:
        sys.exit("the zygote has threads, which a fork would lose")
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=int(sys.argv[1]))
    control.send(b"ready")
    words = serve(control)
    if words is not None:
        run(words)


if __name__ == "__main__":
    main()
