"""Batches by length: each row once, little padding, a bound on tokens, the same everywhere, resumed exactly."""

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.data.epoch_batches import EvenBatches, LengthBatches
from lightning_tying.data.loader import TrainLoader
from lightning_tying.data.order import EpochOrder
from lightning_tying.data.row_source import TensorRows
from lightning_tying.vocab import Sampling


def make(widths, size=8, max_tokens=None, seed=0, sampling=None, groups=None):
    order = EpochOrder(groups or [(0, len(widths))], sampling, seed)
    return LengthBatches(order, widths, size, max_tokens=max_tokens, seed=seed)


def random_widths(rows, longest=40, seed=0):
    return np.random.default_rng(seed).integers(1, longest + 1, (rows, 2))


def padded(widths, batch):
    return len(batch) * int(widths[batch].max(axis=0).sum())


@given(st.integers(1, 300), st.integers(1, 20), st.one_of(st.none(), st.integers(80, 500)), st.integers(0, 3))
def test_an_epoch_has_each_row_at_most_once_and_keeps_the_bound(rows, size, max_tokens, epoch):
    widths = random_widths(rows)
    batches = list(make(widths, size, max_tokens).after(epoch, 0))
    seen = np.concatenate(batches)
    if max_tokens is None:
        assert len(set(seen.tolist())) == len(seen) > rows - size
        assert all(len(batch) <= size for batch in batches)
    else:
        assert all(padded(widths, batch) <= max_tokens for batch in batches)
        if epoch == 0:
            assert sorted(seen.tolist()) == list(range(rows))


def test_less_is_padding_than_in_plain_batches():
    widths = random_widths(4000)
    widths[:, 0] = widths[:, 1] + widths[:, 0] // 8  # a translation is about as long as its source
    order = EpochOrder([(0, 4000)], None, 0)
    real = int(widths.sum())
    plain = sum(padded(widths, batch) for batch in EvenBatches(order, 32).after(0, 0))
    by_length = sum(padded(widths, batch) for batch in make(widths, 32).after(0, 0))
    assert plain > 1.8 * real
    assert by_length < 1.2 * real


def test_tokens_of_batches_are_nearly_the_same():
    widths = random_widths(4000, 20)
    tokens = [padded(widths, batch) for batch in make(widths, 32, max_tokens=1000).after(0, 0)]
    assert np.quantile(tokens, 0.02) > 900 and max(tokens) <= 1000


def test_every_epoch_has_as_many_batches_as_the_first_and_another_order():
    widths = random_widths(900)
    batches = make(widths, 16, max_tokens=300, sampling=Sampling(0.3), groups=[(0, 700), (700, 860), (860, 900)])
    epochs = [[batch.tolist() for batch in batches.after(epoch, 0)] for epoch in range(4)]
    assert {len(epoch) for epoch in epochs} == {batches.count}
    assert epochs[0] != epochs[1]
    assert [len(batch) for batch in epochs[0]] != sorted(len(batch) for batch in epochs[0])  # not from short to long


def test_a_row_longer_than_the_bound_stands_alone():
    widths = np.array([[1, 1], [60, 60], [1, 1]])
    assert sorted(len(batch) for batch in make(widths, 4, max_tokens=50).after(0, 0)) == [1, 2]


def loader(max_tokens, rank=0, world_size=1, size=8):
    rows = TensorRows(torch.arange(500), torch.arange(500))
    most = None if max_tokens is None else max_tokens * world_size
    batches = make(random_widths(500), size * world_size, most)
    return TrainLoader(rows, batches, size, rank=rank, world_size=world_size)


def take(loader, count=None):
    return [batch["label"].tolist() for batch in islice(loader, count)]


@pytest.mark.parametrize("max_tokens", [None, 200])
@pytest.mark.parametrize("steps", [1, 40, 60, 61, 130])
def test_resume_goes_on_identically(max_tokens, steps):
    whole = loader(max_tokens)
    expected = [batch for _ in range(3) for batch in take(whole)]
    seen, interrupted = [], loader(max_tokens)
    while len(seen) < steps:
        seen += take(interrupted, steps - len(seen))
    resumed = loader(max_tokens)
    resumed.load_state_dict(interrupted.state_dict())
    while len(seen) < len(expected):
        seen += take(resumed, len(expected) - len(seen))
    assert seen == expected


@pytest.mark.parametrize("max_tokens", [None, 200])
@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_the_batches_of_one(max_tokens, world_size):
    single = take(loader(max_tokens and max_tokens * world_size, size=8 * world_size))
    parts = [take(loader(max_tokens, rank, world_size)) for rank in range(world_size)]
    assert len({len(part) for part in parts}) == 1
    shared = [[row for part in batch for row in part] for batch in zip(*parts, strict=True)]
    for found, expected in zip(shared, single, strict=True):
        assert found[: len(expected)] == expected and set(found) == set(expected)
