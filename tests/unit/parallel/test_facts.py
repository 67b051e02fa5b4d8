"""The facts of a run are checked and print themselves."""

from __future__ import annotations

from typing import Any

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.parallel.facts import RunFacts


def test_facts_print_what_is_parallel() -> None:
    assert str(RunFacts()) == "single, 32-true"
    facts = RunFacts("fsdp2", data_parallel=2, tensor_parallel=4, precision="bf16-mixed")
    assert str(facts) == "fsdp2 (2 data parallel, 4 tensor parallel), bf16-mixed"
    assert facts.processes == 8
    assert facts.to_dict()["strategy"] == "fsdp2"


@pytest.mark.parametrize("wrong", [{"strategy": "zero"}, {"data_parallel": 0}, {"tensor_parallel": "2"}])
def test_wrong_facts_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RunFacts(**wrong)
