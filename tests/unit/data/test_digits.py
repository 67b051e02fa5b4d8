"""Digits: real images in a fixed, stratified split."""

import sys

import pytest
import torch

from lightning_tying.data import Digits
from lightning_tying.errors import ConfigError


def test_batches():
    batch = next(iter(Digits(batch_size=5).train_dataloader()))
    assert batch["input"].shape == (5, 1, 8, 8) and batch["input"].dtype == torch.float32
    assert batch["label"].shape == (5,) and batch["label"].dtype == torch.int64
    assert batch["input"].min() == 0 and batch["input"].max() == 1


def test_splits_partition_the_images_with_equal_shares_of_the_classes():
    data = Digits(batch_size=2000)
    splits = {
        split: data.rows(split).batch(torch.arange(len(data.rows(split))).numpy()) for split in ("train", "val", "test")
    }
    assert {split: len(batch["label"]) for split, batch in splits.items()} == {"train": 1433, "val": 179, "test": 185}
    for batch in splits.values():
        shares = torch.bincount(batch["label"], minlength=10) / len(batch["label"])
        assert (shares - 0.1).abs().max() < 0.01


def test_the_seed_changes_the_order_and_not_the_split():
    one, two = Digits(batch_size=1433, seed=0), Digits(batch_size=1433, seed=1)
    first, second = next(iter(one.train_dataloader())), next(iter(two.train_dataloader()))
    assert not torch.equal(first["label"], second["label"])
    assert torch.equal(first["input"].sum(0), second["input"].sum(0))


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(
        ConfigError, match=r"scikit-learn, which is not installed: pip install 'lightning-tying\[examples\]'"
    ):
        Digits().setup("fit")
