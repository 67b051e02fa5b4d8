"""Units that are written by hand: what a file may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.parallel.sharding.written_units import read_units


def test_lists_a_mapping_and_a_file_mean_the_same(tmp_path: Path) -> None:
    file = tmp_path / "units.yaml"
    file.write_text("units:\n  - [a, 'b.{l}']\n  - [c]\n")
    assert read_units(file) == read_units(str(file)) == [["a", "b.{l}"], ["c"]]
    assert read_units({"units": [["a", "b.{l}"], ["c"]]}) == read_units([["a", "b.{l}"], ["c"]]) == read_units(file)


@pytest.mark.parametrize("text", ["units: [a, b]", "units: [[]]", "units: [[1]]", "unit: [[a]]", "[a", "3", "- a: b"])
def test_other_content_is_refused_with_the_form(text: str, tmp_path: Path) -> None:
    file = tmp_path / "units.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="a list of lists"):
        read_units(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        read_units(tmp_path / "none.yaml")
