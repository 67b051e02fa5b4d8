"""`make demo`: train the multilingual model tied, untied, and untied but as small; write `runs/demo/report.md`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.demo_report import RunResult, read_result, write_report

ROOT = Path(__file__).parents[1]
CONFIG = Path("configs/train/multilingual_lm.yaml")
FOLDER = Path("runs/demo")
UNTIED = "--model.init_args.sharing=null"


@dataclass(frozen=True)
class Run:
    """One training run of the demo: its folder under `runs/demo/` and what it changes in the config."""

    name: str
    title: str
    overrides: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    def digest(self) -> str:
        """The same for the same config and overrides; a finished run with this digest is used again."""
        sharing = CONFIG.parent / yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["model"]["init_args"]["sharing"]
        content = CONFIG.read_bytes() + sharing.read_bytes() + "\n".join(self.overrides).encode()
        return hashlib.sha256(content).hexdigest()


RUNS = (
    Run("tied", "tied"),
    Run("untied", "untied, same depth", (UNTIED,)),
    Run(
        "untied_small",
        "untied, same count",
        (UNTIED, "--model.init_args.network.init_args.dim=64", "--model.init_args.network.init_args.heads=2"),
    ),
)


def _command(run: Run, subcommand: str, *arguments: str) -> list[str]:
    program = Path(sys.executable).parent / "lightning-tying"
    root = f"--trainer.default_root_dir={run.folder}"
    return [str(program), subcommand, f"--config={CONFIG}", root, *run.overrides, *arguments]


def _carry_out(command: list[str]) -> tuple[float, float]:
    """Run a command with its output on this terminal; seconds and peak memory in MB come back."""
    print(f"\n$ {' '.join(command).replace(str(Path(sys.executable).parent) + os.sep, '')}", flush=True)
    start = time.perf_counter()
    process = subprocess.Popen(command)
    while True:
        try:
            _, status, usage = os.wait4(process.pid, 0)
            break
        except KeyboardInterrupt:  # the child has it too: it saves, says how to go on, and ends
            continue
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(process.returncode if process.returncode > 0 else 128 - process.returncode)
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def _prepare(run: Run) -> list[str]:
    """Make the run's folder ready; the arguments that resume an interrupted run come back."""
    started = run.folder / "started.json"
    if started.exists() and json.loads(started.read_text())["digest"] == run.digest():
        last = run.folder / "last.ckpt"
        return [f"--ckpt_path={last}"] if last.exists() else []
    if run.folder.exists():
        print(f"{run.folder} was made with another config; it is made anew.")
        shutil.rmtree(run.folder)
    run.folder.mkdir(parents=True)
    started.write_text(json.dumps({"digest": run.digest()}))
    return []


def _finish(run: Run) -> RunResult:
    """The run's result: from an earlier demo when the config is the same, else by training and testing."""
    done = run.folder / "result.json"
    if done.exists():
        result = read_result(done)
        if result.digest == run.digest():
            print(f"{run.folder} is there already, with the same config: used again.")
            return result
    resume = _prepare(run)
    fit_seconds, fit_peak = _carry_out(_command(run, "fit", *resume))
    test_seconds, test_peak = _carry_out(_command(run, "test", f"--ckpt_path={run.folder / 'best.ckpt'}"))
    result = RunResult.collect(
        run.folder, run.title, run.digest(), seconds=fit_seconds + test_seconds, peak_mb=max(fit_peak, test_peak)
    )
    temporary = done.with_suffix(".tmp")
    temporary.write_text(json.dumps(result.to_dict(), indent=1))
    os.replace(temporary, done)
    return result


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.chdir(ROOT)
    results: list[RunResult] = []
    for run in RUNS:
        results.append(_finish(run))
        print(write_report(results, CONFIG, FOLDER / "report.md"), flush=True)
    print(f"\nThe report is in {FOLDER / 'report.md'}, its picture in {FOLDER / 'report.png'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
