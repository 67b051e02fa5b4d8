"""Docstrings: summarization of real packages, read and never imported."""

import sys

import pytest
import torch

from lightning_tying.data.docstrings import Docstrings
from lightning_tying.errors import ConfigError

SMALL = {"packages": ["joblib"], "vocabulary_size": 400, "length": 64, "words": 16, "batch_size": 4}


@pytest.fixture(scope="module")
def data(cache):
    made = Docstrings(**SMALL, cache_dir=cache)
    made.setup("fit")
    return made


def test_batches_are_those_of_translation(data):
    batch = next(iter(data.train_dataloader()))
    vocabulary = data.vocabulary
    assert batch["source"].dtype == batch["target"].dtype == torch.int64 and len(batch["source"]) == 4
    assert (batch["target"][:, 0] == vocabulary.tag_id("summary")).all()
    assert batch["language"].tolist() == [1] * 4 and batch["source_language"].tolist() == [0] * 4
    for row, (body, summary) in enumerate(zip(batch["source_text"], batch["reference"], strict=True)):
        assert vocabulary.decode(batch["source"][row].tolist()) == body
        assert vocabulary.decode(batch["target"][row, 1:].tolist()) == summary
        assert 1 <= len(body.split()) <= 16 and 3 <= len(summary.split()) <= 24


def test_no_file_and_no_text_is_in_two_splits(data):
    splits = {split: data.parallel_text(split) for split in ("train", "val", "test")}
    for side in ("body", "summary"):
        files = [{key.rpartition("\x04")[2] for key in texts[side]} for texts in splits.values()]
        assert not files[0] & files[1] and not files[0] & files[2] and not files[1] & files[2]
        train, val, test = ({*texts[side].values()} for texts in splits.values())
        assert not train & val and not (train | val) & test
    assert len(splits["train"]["summary"]) > 100 and splits["test"]["summary"]


def test_a_package_is_not_imported(cache, tmp_path, monkeypatch):
    (tmp_path / "loud_docs").mkdir()
    source = '"""A thing one has.\n\nIt is kept.\n"""\nraise RuntimeError("was imported")\n'
    (tmp_path / "loud_docs" / "__init__.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    messages = Docstrings("loud_docs", cache_dir=cache).read_messages()
    assert messages["summary"] == {"\x04loud_docs/__init__.py": "A thing one has."}
    assert "loud_docs" not in sys.modules


def test_packages_as_one_installs_them_and_folders(tmp_path, cache, write_module):
    one = Docstrings("scikit-learn", cache_dir=cache)._roots()
    two = Docstrings(["sklearn", "scikit-learn"], cache_dir=cache)._roots()
    assert one == two and one[0].name == "sklearn"
    messages = Docstrings(folder=str(write_module(tmp_path / "own")), words=2, cache_dir=cache).read_messages()
    assert list(messages["body"].values()) == ["It is"] and list(messages["summary"].values()) == ["A thing one has."]


@pytest.fixture
def write_module():
    def write(folder):
        folder.mkdir()
        (folder / "own.py").write_text('"""A thing one has.\n\nIt is kept.\n"""\n')
        return folder

    return write


def test_a_changed_file_is_read_again(tmp_path, cache, write_module):
    folder = write_module(tmp_path / "own")
    options = {"folder": str(folder), "cache_dir": cache}
    assert list(Docstrings(**options).read_messages()["body"].values()) == ["It is kept."]
    (folder / "own.py").write_text('"""A thing one has.\n\nIt is given away.\n"""\n')
    assert list(Docstrings(**options).read_messages()["body"].values()) == ["It is given away."]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"packages": ["no_such_one"]}, "data.packages: 'no_such_one' is not installed"),
        ({"packages": ["numpy.linalg"]}, "'numpy.linalg' is no package's name"),
        ({"packages": []}, "data.packages is empty"),
        ({"words": 0}, "data.words is 0"),
        ({"length": 1}, "data.length is 1"),
        ({"batch_size": 0}, "data.batch_size is 0"),
        ({"vocabulary_size": 0}, "data.vocabulary_size is 0"),
        ({"folder": "no/such/folder"}, r"data\.folder: no/such/folder cannot be read"),
    ],
)
def test_bad_input(options, message, cache):
    with pytest.raises(ConfigError, match=message):
        Docstrings(**options, cache_dir=cache).setup("fit")


def test_a_folder_without_docstrings_is_refused(tmp_path, cache):
    (tmp_path / "bare.py").write_text("x = 1\n")
    with pytest.raises(ConfigError, match=r"the 1 Python files of .* have no docstring with a summary line"):
        Docstrings(folder=str(tmp_path), cache_dir=cache).setup("fit")


def test_an_unknown_split_is_refused(data):
    with pytest.raises(ConfigError, match=r"The split is 'vall'; it must be one of train, val, test\. Nearest: 'val'"):
        data.rows("vall")
