"""What tests/starts.py forks is a process like one that Python was started anew for."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests import starts

TELL = """
import os, sys, __main__
print(sys.argv, os.getcwd(), os.environ["WORD"], "PATH" in os.environ, __main__.__name__, flush=True)
print("to stderr", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(params=[False, True], ids=["forked", "anew"])
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "REAL", starts.REAL or request.param)


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("kind", ["-c", "-m", "script"])
def test_words_folder_environment_output_and_status_arrive(kind: str, tmp_path: Path) -> None:
    (tmp_path / "tell.py").write_text(TELL)
    words = {"-c": ["-c", TELL], "-m": ["-m", "tell"], "script": ["tell.py"]}[kind]
    done = starts.run([*words, "3", "a b"], timeout=60, env={"WORD": "ä"}, cwd=tmp_path)
    name = {"-c": "-c", "-m": str(tmp_path / "tell.py"), "script": "tell.py"}[kind]
    assert done.stdout == f"{[name, '3', 'a b']} {tmp_path} ä False __main__\n", done.stderr
    assert done.stderr == "to stderr\n" and done.returncode == 3
    merged = starts.run([*words, "0"], timeout=60, env={"WORD": ""}, cwd=tmp_path, merged=True)
    assert merged.stdout.endswith("to stderr\n") and merged.stderr == "" and merged.returncode == 0


@pytest.mark.usefixtures("real")
def test_an_error_has_its_traceback_and_what_was_registered_runs_at_the_end() -> None:
    code = "import atexit; atexit.register(print, 'at the end'); raise ValueError('wrong')"
    done = starts.run(["-c", code], timeout=60)
    assert done.returncode == 1 and done.stdout == "at the end\n"
    assert done.stderr.startswith("Traceback") and done.stderr.endswith("ValueError: wrong\n")


@pytest.mark.usefixtures("real")
def test_signals_end_it(tmp_path: Path) -> None:
    code = "import time; print('begun', flush=True); time.sleep(60)"
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # as a shell starts what it leaves in the background
    for number in (signal.SIGKILL,) if ignored else (signal.SIGINT, signal.SIGKILL):
        with (tmp_path / "out").open("wb") as out:
            process = starts.start(["-c", code], out=out)
        while process.poll() is None and not (tmp_path / "out").read_bytes():
            time.sleep(0.01)
        assert process.poll() is None
        os.kill(process.pid, number)
        interrupted = process.wait(timeout=60) != -signal.SIGKILL
        assert process.poll() == process.returncode != 0
        assert interrupted == (number == signal.SIGINT)
        assert (tmp_path / "out").read_text().endswith("KeyboardInterrupt\n") == interrupted


@pytest.mark.usefixtures("real")
def test_what_takes_too_long_ends_with_all_that_it_started() -> None:
    code = "import subprocess; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    with pytest.raises(subprocess.TimeoutExpired) as late:
        starts.run(["-c", code], timeout=2)
    (child,) = late.value.output.split()
    status = Path(f"/proc/{child}/stat")
    while status.exists() and status.read_text().split()[2] != "Z":
        time.sleep(0.01)


def test_nothing_is_left_from_one_to_the_next() -> None:
    code = (
        "import os, sys, builtins; print(getattr(builtins, 'seen', None)); builtins.seen = 1; os.environ['SEEN'] = '1'"
    )
    assert [starts.run(["-c", code], timeout=60).stdout for _ in range(2)] == ["None\n", "None\n"]


def test_a_fork_has_no_thread_and_no_file_of_the_zygote() -> None:
    code = "import os; print(len(os.listdir('/proc/self/task')), sorted(map(int, os.listdir('/proc/self/fd')))[:3])"
    with tempfile.TemporaryFile() as other:
        running = starts.start(["-c", "import time; time.sleep(60)"], out=other)
        try:
            assert starts.run(["-c", code], timeout=60).stdout == "1 [0, 1, 2]\n"
        finally:
            running.kill()
    assert running.wait(timeout=60) == -signal.SIGKILL


def test_ranks_are_told_their_group_and_one_that_fails_ends_all(tmp_path: Path) -> None:
    code = "import os, sys, time; print(*(os.environ[n] for n in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')), flush=True)"
    zero = (
        "from lightning.pytorch.utilities import rank_zero_only; assert rank_zero_only.rank == int(os.environ['RANK'])"
    )
    starts.run_ranks(["-c", f"{code}; {zero}"], tmp_path, timeout=60, size=3)
    assert [(tmp_path / f"log{rank}").read_text() for rank in range(3)] == [f"{rank} 3 {rank}\n" for rank in range(3)]
    fails = f"{code}; time.sleep(60 * (os.environ['RANK'] == '0')); raise ValueError('one of two')"
    with pytest.raises(AssertionError, match="one of two"):
        starts.run_ranks(["-c", fails], tmp_path, timeout=60)
