"""A strategy that reads weights before the module sees the checkpoint: looked at first, filled and settled as well."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests import starts

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("late")
    words, one = ["-m", "tests.processes.late_loads", str(out)], os.environ | {"OMP_NUM_THREADS": "1"}
    done = starts.run(words, timeout=200, cwd=ROOT, env=one)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((out / "found.json").read_text())


@pytest.mark.parametrize("name", ["same", "without an alias", "plain, owner", "plain, mean"])
def test_weights_arrive(found: dict[str, Any], name: str) -> None:
    assert found[name] == 0.0


@pytest.mark.parametrize("name", ["other spec", "other spec, folder"])
def test_another_spec_is_told_before_anything_is_loaded(found: dict[str, Any], name: str) -> None:
    assert found[name].startswith("ConfigError: The checkpoint was made with another sharing spec")
    assert '-  - tie: ["first.weight", "last.weight"]' in found[name]


def test_conflicts_are_told_and_untie_comes_too_late(found: dict[str, Any]) -> None:
    assert "last.weight has another value than first.weight" in found["plain"]
    assert "fully_shard" in found["plain, untie"] and "right after tie" in found["plain, untie"]


def test_what_is_no_alias_must_still_be_there(found: dict[str, Any]) -> None:
    assert found["lacking"] == "ConfigError: The checkpoint lacks network.first.bias."


def test_a_folder_of_an_untied_model_loses_no_tensor(found: dict[str, Any]) -> None:
    """Lightning's loader would read the keeper's and leave the others out."""
    assert "holds a tensor for each of network.first.weight, network.last.weight" in found["plain, folder"]
