"""The house's contracts hold, and the tool that checks them can say no."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINT_HERE = """
import sys
sys.path.insert(0, ".")
from importlinter.cli import lint_imports
sys.exit(lint_imports(no_cache=True))
"""
LINT = Path(sys.executable).parent / "lint-imports"


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(LINT), "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120)


def test_import_contracts_are_kept() -> None:
    run = _lint(ROOT)
    assert run.returncode == 0, run.stdout


def test_a_forbidden_import_is_caught(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "lightning_tying", tmp_path / "lightning_tying", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    pipeline = tmp_path / "lightning_tying/passes/pipeline.py"
    pipeline.write_text("import lightning_tying.api\n" + pipeline.read_text(encoding="utf-8"), encoding="utf-8")
    run = subprocess.run([sys.executable, "-c", LINT_HERE], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode != 0
    assert re.search(r"passes\.pipeline\s*->\s*lightning_tying\.api", run.stdout)


def test_no_file_has_two_jobs() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / "lightning_tying").rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert not long
