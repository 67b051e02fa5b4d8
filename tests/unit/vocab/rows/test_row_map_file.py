"""Row maps as files: written together, readable by others, and refused when anything is off."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lightning_tying.algebra.maps.map_files import read_map
from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows import load_row_map, make_row_map, save_row_map
from tests.unit.vocab.families import make

NAMES = ("byte_bpe", "unigram", "word_piece")


@pytest.fixture(scope="module")
def members():
    return {name: make(name) for name in NAMES}


@pytest.fixture(scope="module")
def rows(members):
    return make_row_map(members)


def test_a_map_comes_back_as_it_was(tmp_path, members, rows):
    path = save_row_map(rows, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "rows.safetensors"
    assert sorted(file.name for file in path.parent.iterdir()) == ["rows.json", "rows.safetensors"]
    for where in (path.parent, path, path.with_suffix(".json")):
        assert load_row_map(where, members) == rows


def test_another_name_has_its_json_beside_it(tmp_path, rows):
    save_row_map(rows, tmp_path / "mine.safetensors")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.json", "mine.safetensors"]
    assert load_row_map(tmp_path / "mine.safetensors") == rows


def test_the_same_map_gives_the_same_bytes(tmp_path, rows):
    one, other = (save_row_map(rows, tmp_path / name) for name in "ab")
    assert one.read_bytes() == other.read_bytes()
    assert one.with_suffix(".json").read_bytes() == other.with_suffix(".json").read_bytes()


def test_safetensors_reads_the_vectors(tmp_path, rows):
    from safetensors import safe_open

    with safe_open(str(save_row_map(rows, tmp_path)), "np") as file:
        assert file.metadata() == {"rows": str(rows.n_rows), "policy": "surface"}
        assert set(file.keys()) == set(NAMES)
        for name in NAMES:
            assert file.get_tensor(name).dtype == np.int32
            assert np.array_equal(file.get_tensor(name), rows.rows_of(name))


def test_the_sharing_language_reads_a_member(tmp_path, rows):
    path = save_row_map(rows, tmp_path)
    found = read_map(f"{path}#unigram")
    assert found.count == rows.n_rows
    assert np.frombuffer(found.content, "<i8").tolist() == rows.rows_of("unigram").tolist()


def test_the_json_says_what_is_shared(tmp_path, rows):
    said = json.loads(save_row_map(rows, tmp_path).with_suffix(".json").read_text(encoding="utf-8"))
    assert (said["rows"], said["ids"], said["saved"], said["policy"]) == (
        rows.n_rows,
        rows.n_ids,
        rows.saved,
        "surface",
    )
    assert said["shared_by_pair"]["byte_bpe unigram"] == rows.shared_with("byte_bpe", "unigram")
    assert said["digests"] == dict(rows.digests)


def test_a_map_of_another_tokenizer_is_refused(tmp_path, members, rows):
    save_row_map(rows, tmp_path)
    other = Tokenizer.from_str(members["unigram"].to_str())
    other.add_tokens(["one more"])
    with pytest.raises(ConfigError, match="made for another vocabulary 'unigram'"):
        load_row_map(tmp_path, {**members, "unigram": other})
    with pytest.raises(ConfigError, match="row map is of byte_bpe, unigram, word_piece, and the vocabularies are uni"):
        load_row_map(tmp_path, {"unigram": members["unigram"]})


def test_a_map_with_the_right_digest_and_wrong_rows_is_refused(tmp_path, members, rows):
    short = {name: own[:-1] if name == "byte_bpe" else own for name, own in rows.members.items()}
    used = sorted({int(row) for own in short.values() for row in own})
    numbers = {row: number for number, row in enumerate(used)}
    renumbered = {name: np.array([numbers[int(row)] for row in own], np.int32) for name, own in short.items()}
    path = tmp_path / "wrong"
    save_row_map(type(rows)(renumbered, len(used), rows.digests, "surface"), path)
    with pytest.raises(ConfigError, match=r"'byte_bpe', whose largest id \+ 1 is"):
        load_row_map(path, members)


def test_one_file_without_the_other_is_refused(tmp_path, rows):
    path = save_row_map(rows, tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(ConfigError, match=r"rows\.json cannot be read.*keep both together"):
        load_row_map(tmp_path)
    with pytest.raises(ConfigError, match=r"rows\.safetensors cannot be read"):
        load_row_map(tmp_path / "nowhere")


def test_files_of_two_maps_are_refused(tmp_path, members, rows):
    path = save_row_map(rows, tmp_path / "a")
    other = save_row_map(make_row_map(members, "none"), tmp_path / "b")
    os.replace(other, path)
    with pytest.raises(ConfigError, match="do not belong together"):
        load_row_map(tmp_path / "a")


@given(st.data())
def test_a_damaged_file_is_refused_and_never_a_traceback(tmp_path_factory, rows, data):
    path = save_row_map(rows, tmp_path_factory.getbasetemp() / "damaged")
    target = data.draw(st.sampled_from([path, path.with_suffix(".json")]))
    content = bytearray(target.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 2)) :]
    else:
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    target.write_bytes(bytes(content))
    with contextlib.suppress(ConfigError):
        assert load_row_map(path) == rows  # the layout of the JSON may change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "its format is 9"),
        ({"rows": "9"}, r"its `rows` is missing or of another kind"),
        ({"digests": []}, "its `digests` is missing"),
        ({"specials": {"byte_bpe": 3}}, "specials"),
        ({"digests": {"byte_bpe": "x"}}, "its members or the number of its rows are not those"),
        ({"rows": 3}, "its members or the number of its rows are not those"),
    ],
)
def test_a_json_that_says_something_else_is_refused(tmp_path, rows, change, message):
    beside = save_row_map(rows, tmp_path).with_suffix(".json")
    said = {key: value for key, value in {**json.loads(beside.read_text()), **change}.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode() + beside.with_suffix(".safetensors").read_bytes())
    beside.write_text(json.dumps({**said, "sha256": digest.hexdigest()}))
    with pytest.raises(ConfigError, match=message):
        load_row_map(tmp_path)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, members, rows):
    path = save_row_map(rows, tmp_path)
    before = path.read_bytes()
    path.with_suffix(".json").unlink()
    path.with_suffix(".json").mkdir()  # the second of the two files cannot be put in place
    with pytest.raises(ConfigError, match="cannot be written"):
        save_row_map(make_row_map(members, "none"), tmp_path)
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.json", "rows.safetensors"]
    with pytest.raises(ConfigError, match="cannot be written"):
        save_row_map(rows, Path(path) / "below a file")
