"""The order of an epoch is a pure function of seed and epoch."""

from collections import Counter

import numpy as np
import pytest

from lightning_tying.data.order import EpochOrder
from lightning_tying.vocab import Sampling

GROUPS = [(0, 50), (50, 60), (60, 60)]


def test_same_seed_and_epoch_same_rows():
    one, two = (EpochOrder(GROUPS, Sampling(0.3), seed=3) for _ in range(2))
    one.rows(5)  # what was asked before does not matter
    np.testing.assert_array_equal(one.rows(2), two.rows(2))
    assert one.rows(1).tolist() != one.rows(2).tolist()
    assert one.rows(1).tolist() != EpochOrder(GROUPS, Sampling(0.3), seed=4).rows(1).tolist()


def test_every_row_once_without_sampling():
    rows = EpochOrder(GROUPS, None, seed=0).rows(7)
    assert sorted(rows.tolist()) == list(range(60))


@pytest.mark.parametrize(("alpha", "first", "second"), [(0.0, 30, 30), (1.0, 50, 10), (0.5, 41, 19)])
def test_shares(alpha, first, second):
    order = EpochOrder(GROUPS, Sampling(alpha), seed=0)
    rows = order.rows(0)
    assert len(rows) == order.size == 60
    assert ((rows < 50).sum(), (rows >= 50).sum()) == (first, second)


def test_over_the_epochs_all_rows_of_a_group_come_equally_often():
    order = EpochOrder(GROUPS, Sampling(0.0), seed=0)
    counts = Counter(np.concatenate([order.rows(epoch) for epoch in range(10)]).tolist())
    assert {counts[row] for row in range(50)} == {6}  # 10 epochs of 30 rows from 50
    assert {counts[row] for row in range(50, 60)} == {30}
