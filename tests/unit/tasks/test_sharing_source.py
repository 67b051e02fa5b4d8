"""Where sharing comes from: paths, texts, mappings and specs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.spec.loader import load_spec
from lightning_tying.tasks.sharing_source import SharingSource, is_path, read_sharing, started_here

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
        ":2: Unknown key `shares`. Did you mean `share`? Known: version, root, let, share, parameters, sync."
    ]


def test_other_types_are_refused() -> None:
    with pytest.raises(ConfigError, match="not an object of type int"):
        read_sharing(3)  # type: ignore[arg-type]


def test_a_folder_and_a_bare_word_are_no_sharing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        read_sharing(str(tmp_path))
    with pytest.raises(ConfigError, match="cycle is neither a spec nor the path of one"):
        read_sharing("cycle")


def test_let_is_replaced_and_its_names_are_checked() -> None:
    text = "let: {K: 3}\nshare: ['layers.{l}.weight = W[l % K]']\n"
    source = SharingSource(text, spec=read_sharing(text))
    assert source.with_let({"K": 2}).resolve().let["K"] == 2
    assert [problem.code for problem in source.with_let({"Q": 2}).resolve().problems] == ["46"]


def test_messages_name_a_file_from_where_the_program_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "s.yaml").write_text("shares: []\n")
    monkeypatch.chdir(tmp_path)
    with started_here():
        monkeypatch.chdir(tmp_path / "train")
        assert str(read_sharing("../s.yaml").problems[0]).startswith("s.yaml:1: ")
