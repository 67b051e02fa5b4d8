"""Map files: what is read, and a clear mistake for everything else that can stand in a file."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.algebra.maps import map_files
from lightning_tying.algebra.maps.index_maps import map_cells, read_map
from lightning_tying.algebra.maps.map_formats import parse_json, parse_safetensors
from lightning_tying.spec.mistakes import Mistake


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def safetensors(header, data=b""):
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(text).to_bytes(8, "little") + text + data


def test_a_list(tmp_path):
    path = write(tmp_path, "maps/de.json", "[3, 0, 17]")
    found = read_map("maps/de.json", tmp_path)
    assert (found.path, found.shape, found.count) == ("maps/de.json", (3,), 18)
    assert found.sha256 == sha256(path.read_bytes()).hexdigest()
    assert map_cells(found, (3,)).tolist() == [3, 0, 17]


def test_nested_with_rows(tmp_path):
    write(tmp_path, "a.json", '{"map": [[0, 1], [-1, 4], [2, 2]], "rows": 9}')
    found = read_map("a.json", tmp_path)
    assert (found.shape, found.count) == ((3, 2), 9)
    assert map_cells(found, (3, 2)).tolist() == [[0, 1], [-1, 4], [2, 2]]


def test_relative_to_the_working_directory(tmp_path, monkeypatch):
    write(tmp_path, "a.json", "[]")
    monkeypatch.chdir(tmp_path)
    assert (read_map("a.json").shape, read_map("a.json").count) == ((0,), 0)
    assert read_map(str(tmp_path / "a.json"), tmp_path / "elsewhere").shape == (0,)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool])
def test_safetensors_of_the_reference_implementation(tmp_path, dtype):
    torch_files = pytest.importorskip("safetensors.torch")
    cells = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    torch_files.save_file({"other": torch.zeros(5), "map": cells}, tmp_path / "m.safetensors", {"rows": "7"})
    found = read_map("m.safetensors", tmp_path)
    assert (found.shape, found.count) == ((2, 3), 7)
    assert torch.equal(map_cells(found, (2, 3)), cells.long())


def test_does_not_exist(tmp_path):
    for name in ("en.json", "de.json", "notes.txt"):
        write(tmp_path, f"maps/{name}", "[0]")
    with pytest.raises(Mistake) as caught:
        read_map("maps/fr.json", tmp_path, "lang = 'fr' at embed.fr.weight")
    assert caught.value.code == "76"
    text = "maps/fr.json does not exist (lang = 'fr' at embed.fr.weight). Beside it: de.json, en.json."
    assert caught.value.text == text
    with pytest.raises(Mistake, match=r"^nowhere/fr\.json does not exist\.$"):
        read_map("nowhere/fr.json", tmp_path)
    for number in range(20):
        write(tmp_path, f"many/{number:02}.json", "[0]")
    with pytest.raises(Mistake, match=r"Beside it: 00\.json, .*, 07\.json, …\.$"):
        read_map("many/fr.json", tmp_path)


JSON_MISTAKES = [
    ("[1, 2", "it is not JSON at line 1, column 6"),
    ("", "it is not JSON at line 1, column 1"),
    ("[1, 2.0]", "its entry 1 is 2.0, not a whole number"),
    ("[1, true]", "its entry 1 is true, not a whole number"),
    ("[1, NaN]", "its entry 1 is NaN, not a whole number"),
    ("[null]", "its entry 0 is null, not a whole number"),
    ('["a"]', 'its entry 0 is "a", not a whole number'),
    ("[[1], 2]", "lists and numbers stand beside each other in it"),
    ("[1, [2]]", "its entry 1 is [2], not a whole number"),
    ("[[1], [2, 3]]", "its lists are of unequal length"),
    ("[[[1]], [[2, 3]]]", "its lists are of unequal length"),
    ("3", "it is not a list"),
    ("{}", 'a mapping in it has the keys "map" and, if wanted, "rows"'),
    ('{"map": [1], "row": 2}', 'a mapping in it has the keys "map" and, if wanted, "rows"'),
    ('{"map": [1], "rows": 2.5}', "its rows are 2.5, not a whole number"),
    ('{"map": [1], "rows": -1}', "its rows are -1, not a whole number"),
    ('{"map": [0, 5], "rows": 5}', "it says 5 rows, and names 5 at entry 1"),
    ("[9223372036854775808]", "a number in it is beyond ±2⁶³"),
    (b"[1, \xff]", "it is not UTF-8 text"),
    ("[" * 11 + "1" + "]" * 11, "it has more than 10 dimensions"),
    ("[" * 100000, "it nests too deep"),
    ("[" + "1" * 5000 + "]", None),
]


@pytest.mark.parametrize(("content", "reason"), JSON_MISTAKES, ids=range(len(JSON_MISTAKES)))
def test_json_that_is_no_map(tmp_path, content, reason):
    write(tmp_path, "a.json", content)
    with pytest.raises(Mistake) as caught:
        read_map("a.json", tmp_path, "l = 3 at x.weight")
    assert caught.value.code == "76"
    if reason is not None:
        assert caught.value.text == f"a.json is no map (l = 3 at x.weight): {reason}."


GOOD = {"map": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]}}
SAFETENSORS_MISTAKES = [
    (b"", "it is not a safetensors file, or is cut off"),
    (b"\xff" * 20, "it is not a safetensors file, or is cut off"),
    (safetensors(b"{]"), "its header is not JSON"),
    (safetensors(b"\xff\xfe"), "its header is not JSON"),
    (safetensors([1]), "its header is not a mapping"),
    (safetensors({"maps": GOOD["map"]}, bytes(16)), "it has no tensor `map` (its tensors: maps)"),
    (safetensors({"__metadata__": {}}), "it has no tensor `map` (its tensors: none)"),
    (
        safetensors({"map": {**GOOD["map"], "dtype": "F32"}}, bytes(16)),
        'its tensor `map` is "F32", not of whole numbers',
    ),
    (safetensors({"map": {"dtype": "I64"}}), "`shape` of its tensor `map` is not a list of whole numbers"),
    (
        safetensors({"map": {**GOOD["map"], "data_offsets": [0]}}),
        "`data_offsets` of its tensor `map` are not two numbers",
    ),
    (safetensors(GOOD, bytes(8)), "the offsets of its tensor `map` do not fit its shape or the file"),
    (
        safetensors({"map": {**GOOD["map"], "shape": [3]}}, bytes(16)),
        "the offsets of its tensor `map` do not fit its shape or the file",
    ),
    (safetensors({**GOOD, "__metadata__": {"rows": "many"}}, bytes(16)), 'its rows are "many", not a whole number'),
    (safetensors({"map": {**GOOD["map"], "dtype": "U64"}}, b"\xff" * 16), "a number in it is beyond ±2⁶³"),
]


@pytest.mark.parametrize(("content", "reason"), SAFETENSORS_MISTAKES, ids=range(len(SAFETENSORS_MISTAKES)))
def test_safetensors_that_is_no_map(tmp_path, content, reason):
    write(tmp_path, "a.safetensors", content)
    with pytest.raises(Mistake) as caught:
        read_map("a.safetensors", tmp_path)
    assert (caught.value.code, caught.value.text) == ("76", f"a.safetensors is no map: {reason}.")


def test_not_a_map_file(tmp_path):
    write(tmp_path, "a.txt", "[1]")
    (tmp_path / "b.json").mkdir()
    with pytest.raises(Mistake, match=r"^a\.txt is no map: a map is a \.json or a \.safetensors file\.$"):
        read_map("a.txt", tmp_path)
    with pytest.raises(Mistake, match=r"^b\.json is a folder\."):
        read_map("b.json", tmp_path)
    for path in ("a\0.json", "x" * 5000 + ".json", ""):
        with pytest.raises(Mistake) as caught:
            read_map(path, tmp_path)
        assert caught.value.code == "76"


def test_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(map_files, "MOST_BYTES", 10)
    write(tmp_path, "a.json", "[1, 2, 3, 4, 5, 6]")
    with pytest.raises(Mistake, match="is larger than"):
        read_map("a.json", tmp_path)


def test_equal_files_give_equal_maps(tmp_path):
    write(tmp_path, "a.json", "[0, 1]")
    first = read_map("a.json", tmp_path)
    assert first == read_map("a.json", tmp_path)
    write(tmp_path, "a.json", "[1, 0]")
    assert first != read_map("a.json", tmp_path)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(content):
    for parse in (parse_json, parse_safetensors):
        try:
            found = parse(content)
        except ValueError:
            continue
        assert len(found.entries) == torch.Size(found.shape).numel()


@given(st.recursive(st.integers(), lambda e: st.lists(e, max_size=3), max_leaves=8))
def test_any_json_is_read_as_torch_reads_it_or_refused(data):
    try:
        found = parse_json(json.dumps(data).encode())
    except ValueError:
        return
    assert list(found.shape) == list(torch.tensor(data).shape)
    assert found.entries.tolist() == torch.tensor(data).view(-1).tolist()
