"""Running the program as a user does: in a process of its own, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import starts

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("lightning-tying")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all runs, so that a vocabulary is learned once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def environment(cache: Path) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("PL_")}
    return {
        **plain, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "XDG_CACHE_HOME": str(cache),
        "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "120",
    }  # fmt: skip


@pytest.fixture(scope="session")
def command() -> list[str]:
    return [sys.executable, "-m", "lightning_tying.cli"]


@pytest.fixture(scope="session")
def run_in(environment: dict[str, str], command: list[str]) -> Callable[[Path], Run]:
    """Run `lightning-tying` in a folder, in a process of its own (tests/starts.py)."""

    def choose(folder: Path) -> Run:
        def call(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
            return starts.run([*command[1:], *words], cwd=folder, env={**environment, **more}, timeout=200)

        return call

    return choose


@pytest.fixture(scope="session")
def run_anew(environment: dict[str, str]) -> Run:
    """Run the installed program in a folder, in a Python that nothing was imported into."""

    def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *words], capture_output=True, text=True, cwd=folder, env=environment, timeout=280, check=False
        )

    return call


@pytest.fixture
def run(tmp_path: Path, run_in: Callable[[Path], Run]) -> Run:
    """Run `lightning-tying` in `tmp_path`."""
    return run_in(tmp_path)


SMALL_LM = [
    "--data.languages=[en,de]", "--data.vocabulary_size=400", "--data.length=32", "--data.batch_size=4",
    "--model.network.init_args.dim=16", "--model.network.init_args.depth=2", "--model.network.init_args.heads=2",
    "--trainer.max_steps=4", "--trainer.val_check_interval=2", "--trainer.limit_val_batches=2",
    "--trainer.limit_test_batches=2", "--trainer.limit_predict_batches=1", "--trainer.accelerator=cpu",
]  # fmt: skip


@pytest.fixture(scope="session")
def small() -> list[str]:
    """The multilingual run config, made so small that it takes a moment."""
    return ["--config", str(ROOT / "configs" / "train" / "multilingual_lm.yaml"), *SMALL_LM]
