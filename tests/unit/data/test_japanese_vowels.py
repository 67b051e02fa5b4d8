"""JapaneseVowels: real speech, padded with zeros, in the archive's split; its package is read and not imported."""

import sys

import numpy as np
import pytest
import torch

from lightning_tying.data import japanese_vowels
from lightning_tying.data.japanese_vowels import JapaneseVowels
from lightning_tying.errors import ConfigError


@pytest.fixture(scope="module")
def data():
    made = JapaneseVowels(batch_size=4)
    made.setup("fit")
    return made


def rows_of(data, split):
    rows = data.rows(split)
    return rows.batch(np.arange(len(rows)))


def test_batches(data):
    batch = next(iter(data.train_dataloader()))
    assert batch["input"].shape == (4, 29, 12) and batch["input"].dtype == torch.float32
    assert batch["label"].shape == (4,) and batch["label"].dtype == torch.int64
    assert "aeon" not in sys.modules


def test_splits_are_the_archives(data):
    """The counts of the data set's own description; six utterances of each speaker are for validation."""
    counts = {split: torch.bincount(rows_of(data, split)["label"]).tolist() for split in ("train", "val", "test")}
    assert counts == {"train": [24] * 9, "val": [6] * 9, "test": [31, 35, 88, 44, 29, 24, 40, 50, 29]}
    utterances = torch.cat([rows_of(data, split)["input"] for split in counts])
    assert len(utterances.flatten(1).unique(dim=0)) == 640


def test_zeros_are_padding_and_nothing_else(data):
    """Lengths are the 7 to 29 of the description, and no frame inside an utterance is all zero."""
    for split in ("train", "val", "test"):
        seen = (rows_of(data, split)["input"] != 0).any(-1)
        lengths = seen.sum(1)
        assert lengths.min() >= 7 and lengths.max() <= 29
        assert torch.equal(seen, torch.arange(29) < lengths[:, None])


def test_a_missing_package_is_told_in_setup(monkeypatch):
    monkeypatch.setitem(sys.modules, "aeon", None)
    with pytest.raises(ConfigError, match=r"JapaneseVowels: 'aeon' is not installed.*pip install --no-deps aeon"):
        JapaneseVowels().setup("fit")


def test_other_files_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(japanese_vowels, "find_installed", lambda name, where: tmp_path)
    with pytest.raises(ConfigError, match=r"JapaneseVowels_TRAIN\.ts cannot be read"):
        JapaneseVowels().setup("fit")
    folder = tmp_path / "datasets" / "data" / "JapaneseVowels"
    folder.mkdir(parents=True)
    for part in ("TRAIN", "TEST"):
        (folder / f"JapaneseVowels_{part}.ts").write_text("@classLabel true a b\n@data\n1:2:a\n")
    with pytest.raises(ConfigError, match="tell other speakers apart than 1 to 9"):
        JapaneseVowels().setup("fit")


def test_an_unknown_split_is_refused(data):
    with pytest.raises(ConfigError, match="The split is 'dev'; it must be one of train, val, test"):
        data.rows("dev")
