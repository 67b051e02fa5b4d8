"""Where sharing comes from: paths, texts, mappings and specs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.spec.loader import load_spec
from lightning_tying.tasks.sharing_source import SharingSource, is_path, read_sharing

TEXT = "version: 1\nshare:\n  - tie: [embed.weight, head.weight]\n"


@pytest.mark.parametrize("name", ["a.yaml", "b.yml", "c.json", "a folder/x.YAML"])
def test_a_line_that_ends_like_a_file_is_a_path(name: str) -> None:
    assert is_path(name)


@pytest.mark.parametrize("text", [TEXT, "share: [a = W]", "x.yaml\nshare: []", ""])
def test_any_other_text_is_yaml(text: str) -> None:
    assert not is_path(text)


def test_all_forms_give_the_same_spec(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(TEXT)
    spec = load_spec(TEXT)
    mapping = {"version": 1, "share": [{"tie": ["embed.weight", "head.weight"]}]}
    for source in (file, str(file), TEXT, mapping, spec, SharingSource(TEXT, spec=spec)):
        assert read_sharing(source) == spec


def test_a_missing_file_names_the_folder_and_its_neighbors(tmp_path: Path) -> None:
    (tmp_path / "cycle.yaml").write_text(TEXT)
    with pytest.raises(ConfigError, match=r"cycel\.yaml does not exist .* Beside it: cycle\.yaml"):
        read_sharing(tmp_path / "cycel.yaml")


def test_a_wrong_spec_says_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("version: 1\nshares: []\n")
    problems = read_sharing(str(file)).problems
    assert [str(problem).partition("s.yaml")[2] for problem in problems] == [
        ":2: Unknown key `shares`. Did you mean `share`? Known: version, root, let, share, parameters."
    ]


def test_other_types_are_refused() -> None:
    with pytest.raises(ConfigError, match="not a int"):
        read_sharing(3)  # type: ignore[arg-type]
