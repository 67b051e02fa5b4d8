"""Members of a row-map file: `rows` reads them, holes are zeros, and a wrong member or a broken JSON is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lightning_tying import make_plan, tie
from lightning_tying.algebra.maps.map_files import read_map
from lightning_tying.algebra.maps.member_paths import split_member
from lightning_tying.graph.files.read_data import graph_from_data
from lightning_tying.graph.map_files_of_graph import find_maps
from lightning_tying.graph.reading.map_files import check_map
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.tasks.kept_maps import read_maps, write_maps

ROWS = {"de": [0, 1, 2, 3], "en": [0, 2, -1, 4, 5]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vocab").mkdir()
    tensors = {name: torch.tensor(entries, dtype=torch.int32) for name, entries in ROWS.items()}
    save_file(tensors, tmp_path / "vocab" / "rows.safetensors", {"rows": "7"})
    (tmp_path / "vocab" / "rows.json").write_text(json.dumps({"digests": {"de": "aa" * 32, "en": "bb" * 32}}))
    return tmp_path


def embeddings(dtype: torch.dtype = torch.float64) -> nn.Module:
    module = nn.Module()
    module.embed = nn.ModuleDict({name: nn.Embedding(len(rows), 3, dtype=dtype) for name, rows in ROWS.items()})
    return module


def spec(folder: Path) -> Path:
    path = folder / "spec.yaml"
    path.write_text("share:\n  - embed.{lang}.weight = rows(vocab, map='vocab/rows.safetensors#{lang}')\n")
    return path


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("rows.safetensors#de", ("rows.safetensors", "de")),
        ("a#b/rows.SAFETENSORS#zh-Hans", ("a#b/rows.SAFETENSORS", "zh-Hans")),
        ("rows.safetensors#", ("rows.safetensors", "")),
        ("maps/c#.json", ("maps/c#.json", None)),
        ("maps/a#b.safetensors", ("maps/a#b.safetensors", None)),
        ("maps/rows.txt#de", ("maps/rows.txt#de", None)),
    ],
)
def test_only_what_was_no_map_before_has_a_member(path: str, parts: tuple[str, str | None]) -> None:
    assert split_member(path) == parts


def test_a_member_is_one_tensor_of_the_file(folder: Path) -> None:
    found = read_map("vocab/rows.safetensors#de", folder)

    assert (found.shape, found.count, found.digest, found.member) == ((4,), 7, "aa" * 32, "de")
    assert read_map("vocab/rows.safetensors#en", folder).sha256 == found.sha256


def test_without_json_beside_it_there_is_no_digest(folder: Path) -> None:
    (folder / "vocab" / "rows.json").unlink()
    assert read_map("vocab/rows.safetensors#de", folder).digest == ""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "vocab/rows.safetensors#ed",
            "vocab/rows.safetensors has no member `ed` (lang = 'ed' at x). Nearest: de. Its members: de, en.",
        ),
        ("vocab/rows.safetensors#__metadata__", "has no member `__metadata__`"),
        ("vocab/rows.safetensors#", "vocab/rows.safetensors has no member ``"),
        ("vocab/rows.json#de", "only a .safetensors file has members"),
        ("vocab/row.safetensors#de", "vocab/row.safetensors does not exist (lang = 'ed' at x). Beside it: rows.json"),
        ("vocab/rows.safetensors", "it has no tensor `map` (its tensors: de, en)"),
    ],
)
def test_a_wrong_member_is_told_with_the_members_there_are(folder: Path, path: str, message: str) -> None:
    with pytest.raises(Mistake) as caught:
        read_map(path, folder, "lang = 'ed' at x")
    assert caught.value.code == "76"
    assert message in caught.value.text


@pytest.mark.parametrize("content", ["{", '{"digests": [1]}', "[" * 100_000])
def test_a_broken_json_beside_the_file_is_told(folder: Path, content: str) -> None:
    (folder / "vocab" / "rows.json").write_text(content)
    with pytest.raises(Mistake, match=r"^rows\.json, beside vocab/rows\.safetensors, "):
        read_map("vocab/rows.safetensors#de", folder)


def test_both_tables_read_one_and_a_hole_is_zeros(folder: Path) -> None:
    module = embeddings()
    plan = tie(module, spec(folder))
    [group] = plan.graph.groups
    assert group.meta.shape == (7, 3)
    table = module.get_parameter(group.keeper)
    with torch.no_grad():
        table.normal_()

    de, en = module.get_submodule("embed.de").weight, module.get_submodule("embed.en").weight

    assert torch.equal(de, table[:4])
    assert torch.equal(en[[0, 1, 3, 4]], table[[0, 2, 4, 5]])
    assert not en[2].any()
    (de.sum() + 2 * en.sum()).backward()
    assert table.grad[:, 0].tolist() == [3.0, 1.0, 3.0, 1.0, 2.0, 2.0, 0.0]


def test_a_hole_says_nothing_about_initial_values(folder: Path) -> None:
    """The table is solved from both sites; row 0, which a hole must not be taken for, is de's."""
    module = embeddings()
    before = {lang: module.get_parameter(f"embed.{lang}.weight").detach().clone() for lang in ROWS}

    plan = tie(
        module,
        f"share: [{{sites: 'embed.{{lang}}.weight', equals: \"rows(vocab, '{folder}/vocab/rows"
        ".safetensors#{lang}')\", init: mean}]",
    )

    table = module.get_parameter(plan.graph.groups[0].keeper).detach()
    torch.testing.assert_close(table[0], (before["de"][0] + before["en"][0]) / 2, rtol=0, atol=1e-12)
    torch.testing.assert_close(table[4], before["en"][3], rtol=0, atol=1e-12)


def test_minus_one_in_a_plain_file_is_still_refused(folder: Path) -> None:
    (folder / "plain.json").write_text("[0, -1, 1]")
    module = nn.Embedding(3, 2)
    with pytest.raises(Exception, match="names -1 at entry 1"):
        make_plan(module, f"share: [\"weight = rows(T, '{folder}/plain.json')\"]")


def test_members_go_into_checkpoints_and_graphs_and_come_back(folder: Path) -> None:
    graph = make_plan(embeddings(), spec(folder)).graph
    found = find_maps(graph)
    assert sorted(found) == ["vocab/rows.safetensors#de", "vocab/rows.safetensors#en"]
    assert read_maps(json.loads(json.dumps(write_maps(found)))) == found
    assert graph_from_data(json.loads(json.dumps(graph.to_dict()))) == graph


def test_another_file_than_the_checkpoint_s_is_refused(folder: Path) -> None:
    path = "vocab/rows.safetensors#de"
    kept = read_map(path, folder)
    check_map(kept, folder / path)
    save_file({"de": torch.tensor([0])}, folder / "vocab" / "rows.safetensors")
    with pytest.raises(Mistake, match=r"rows\.safetensors#de is not the file this checkpoint was made with"):
        check_map(kept, folder / path)
