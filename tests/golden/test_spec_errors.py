"""Every error of the language reference that needs no model, by its number, with the message to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lightning_tying.errors import SpecError
from lightning_tying.spec import load_spec

CASES = yaml.safe_load(Path(__file__).with_name("spec_errors.yaml").read_text(encoding="utf-8"))


def write_file(case: dict[str, str]) -> str:
    return case["file"] if "file" in case else f"share:\n  {case['share']}\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['number']}-{case['message'][:24]}")
def test_message(case):
    with pytest.raises(SpecError) as caught:
        load_spec(write_file(case))
    assert [problem.text for problem in caught.value.problems] == [case["message"]]
    assert [problem.code for problem in caught.value.problems] == [case["number"]]
    assert all(problem.location.line for problem in caught.value.problems)
