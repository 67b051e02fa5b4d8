"""An installed wheel is enough: built, put into a fresh environment outside the checkout, and used from there."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def run(words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment with the wheel, and with the packages of this one, but without the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    run(build)
    (wheel,) = folder.glob("*.whl")
    target = folder / "venv"
    venv.create(target, with_pip=False)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(target), "platbase": str(target)}))
    # a path alone: the .pth files inside it, the editable install among them, are not read
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(target / "bin" / "python"), "install", "--no-deps"]
    run([*pip, "--no-index", "--ignore-installed", str(wheel)])
    return target


@pytest.fixture(scope="module")
def command(installed: Path, cache: Path) -> Command:
    """Run the installed `lightning-tying`."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("PL_", "PYTHONPATH"))}
    settings = {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cache), "TERM": "dumb"}

    def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        program = str(installed / "bin" / "lightning-tying")
        return run([program, *words], cwd=folder, env={**plain, **settings})

    return call


def test_from_examples_to_predictions_and_a_resumed_run(installed: Path, command: Command, tmp_path: Path) -> None:
    where = run(
        [str(installed / "bin" / "python"), "-c", "import lightning_tying as lt; print(lt.__file__)"], cwd=tmp_path
    )
    assert Path(where.stdout.strip()).is_relative_to(installed)
    command(tmp_path, "examples", "my configs")
    config = tmp_path / "my configs" / "train" / "digits.yaml"
    tiny = ["--config", str(config), "--trainer.max_epochs=1", "--trainer.limit_train_batches=2"]
    assert "kernel[0]" in command(tmp_path, "plan", "--config", str(config)).stdout
    command(tmp_path, "fit", *tiny)
    labels = command(tmp_path, "predict", *tiny, "--trainer.limit_predict_batches=1").stdout.split()
    assert len(labels) > 10
    assert set(labels) <= set("0123456789")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    last = tmp_path / "runs" / "digits" / "last.ckpt"
    command(elsewhere, "fit", *tiny, "--trainer.max_epochs=2", "--ckpt_path", str(last))
    assert (elsewhere / "runs" / "digits" / "last.ckpt").is_file()
