"""Broken specs given to `lightning-tying plan`: exit status 2, the messages of the golden file, nothing else.

`--write-golden` writes the messages again; read the difference before you keep it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_tying.cli import main

FILE = Path(__file__).with_name("refused_specs.yaml")
CASES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
RUN = """\
model:
  class_path: lightning_tying.tasks.LanguageModeling
  init_args:
    network:
      class_path: lightning_tying.models.DecoderLM
      init_args: {vocab_size: 100, dim: 16, depth: 6, heads: 2}
"""


@pytest.mark.parametrize("case", CASES, ids=[f"{case['number']}-{i}" for i, case in enumerate(CASES)])
def test_exactly_the_golden_messages(
    case: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(RUN, encoding="utf-8")
    Path("spec.yaml").write_text(case["spec"], encoding="utf-8")

    status = main(["plan", "--config", "run.yaml", "--sharing", "spec.yaml"])

    out, err = capsys.readouterr()
    messages = err.splitlines()
    if request.config.getoption("--write-golden"):
        case["messages"] = messages
        FILE.write_text(yaml.safe_dump(CASES, sort_keys=False, allow_unicode=True, width=1000), encoding="utf-8")
    assert (status, out) == (2, "")
    assert messages == case["messages"]
    assert all(line.startswith("spec.yaml:") for line in messages)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["run.yaml", "spec.yaml"]


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 40
