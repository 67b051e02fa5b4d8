"""The split of labelled rows: a partition in which each class has its share."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_tying.data.class_split import split_classes
from lightning_tying.data.digits import Digits


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60), st.sampled_from([(0.8, 0.9), (0.8, 1.0), (0.5, 0.5)]))
def test_is_a_partition_with_the_shares_of_each_class(labels, shares):
    rows = np.array(labels, np.int64)
    parts = split_classes(rows, shares)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(labels)))
    for label in set(labels):
        count = labels.count(label)
        first, second = (int(count * share) for share in shares)
        counts = [int((rows[parts[split]] == label).sum()) for split in ("train", "val", "test")]
        assert counts == [first, second - first, count - second]


def test_is_the_split_of_the_digits():
    data = Digits()
    rows = {split: data.rows(split).batch(np.arange(len(data.rows(split))))["label"] for split in ("train", "val")}
    from sklearn.datasets import load_digits

    labels = load_digits().target.astype(np.int64)
    parts = split_classes(labels, (0.8, 0.9))
    assert all(labels[parts[split]].tolist() == rows[split].tolist() for split in rows)
