"""What several sites say about one tensor, put together cell by cell."""

from __future__ import annotations

import pytest
import torch

from lightning_tying.algebra.fits.estimate import Estimate, Pool


def estimate(values, counts=None):
    return Estimate(torch.tensor(values), None if counts is None else torch.tensor(counts))


def test_the_mean_counts_every_cell_that_speaks():
    pool = Pool()
    pool.add(estimate([1.0, 2.0, 0.0, 0.0], [1.0, 3.0, 0.0, 0.0]))
    pool.add(estimate([4.0, 6.0, 5.0, 0.0], [2.0, 1.0, 1.0, 0.0]))
    assert not pool.is_complete and pool.value.tolist() == [3.0, 3.0, 5.0, 0.0]
    pool.add(estimate([0.0, 8.0, 7.0, 9.0]))
    assert pool.is_complete and pool.value.tolist() == [2.25, 4.0, 6.0, 9.0]


def test_whole_estimates_count_once_each():
    pool = Pool()
    for value in (1.0, 2.0, 6.0):
        pool.add(estimate([value, -value]))
    assert pool.value.tolist() == [3.0, -3.0]


def test_the_first_that_speaks_for_a_cell_wins():
    pool = Pool()
    pool.fill(estimate([1.0, 0.0, 0.0], [2.0, 0.0, 0.0]))
    pool.fill(estimate([5.0, 6.0, 0.0], [1.0, 4.0, 0.0]))
    assert not pool.is_complete and pool.value.tolist() == [1.0, 6.0, 0.0]
    pool.fill(estimate([7.0, 7.0, 7.0]))
    assert pool.is_complete and pool.value.tolist() == [1.0, 6.0, 7.0]
    pool.fill(estimate([9.0, 9.0, 9.0]))
    assert pool.value.tolist() == [1.0, 6.0, 7.0]


def test_estimates_stay_as_they_are():
    first, pool = estimate([1.0], [1.0]), Pool()
    pool.add(first)
    pool.add(estimate([3.0], [1.0]))
    assert first.value.tolist() == [1.0] and first.counts.tolist() == [1.0]


def test_an_empty_pool_has_no_value():
    assert Pool().is_empty
    with pytest.raises(ValueError, match="empty pool"):
        _ = Pool().value
