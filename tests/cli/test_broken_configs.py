"""Broken run configs: one clear message each, exit status 2, no traceback, nothing left half-written.

The files and messages stand in `broken_configs.yaml`; `--write-golden` writes the messages again.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_tying.cli import main

FILE = Path(__file__).with_name("broken_configs.yaml")
CASES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
BASE = yaml.safe_load(Path(__file__).with_name("base_config.yaml").read_text(encoding="utf-8"))


def change(config: dict[str, Any], path: str, value: Any) -> None:
    """Set `a.b.c` to a value; None removes the key."""
    *parents, last = path.split(".")
    for name in parents:
        config = config[name]
    if value is None:
        config.pop(last)
    else:
        config[last] = value


def prepare(case: dict[str, Any], folder: Path) -> list[str]:
    for name, text in case.get("files", {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    config = yaml.safe_load(yaml.safe_dump(BASE))
    for path, value in case.get("change", {}).items():
        change(config, path, value)
    if "run.yaml" not in case.get("files", {}):
        (folder / "run.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return case.get("arguments", ["fit", "--config", "run.yaml"])


def list_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "cache" not in path.parts}


@pytest.mark.parametrize("name", sorted(CASES))
def test_one_clear_message(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = prepare(case, tmp_path)
    before = list_files(tmp_path)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    message = err.getvalue().strip().replace(str(tmp_path), "‹folder›")
    if request.config.getoption("--write-golden"):
        case["message"] = message
        FILE.write_text(yaml.safe_dump(CASES, sort_keys=False, allow_unicode=True, width=1000), encoding="utf-8")
    assert status == 2, message
    assert message == case["message"]
    assert "Traceback" not in message
    assert list_files(tmp_path) == before


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 15
