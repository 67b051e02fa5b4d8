"""Loaders: batches, the position that can be saved, and the parts of several processes."""

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.data.loader import EvalLoader, TrainLoader
from lightning_tying.data.order import EpochOrder
from lightning_tying.data.row_source import TensorRows


def make_loader(rows=50, batch_size=4, seed=0, **options):
    source = TensorRows(torch.arange(rows), torch.arange(rows))
    return TrainLoader(source, EpochOrder(source.groups, None, seed), batch_size, **options)


def take(loader, count=None):
    return [batch["label"].tolist() for batch in islice(loader, count)]


def test_an_epoch_has_whole_batches_and_each_pass_is_the_next_epoch():
    loader = make_loader()
    first, second = take(loader), take(loader)
    assert len(loader) == len(first) == 12
    assert {len(batch) for batch in first} == {4}
    assert first != second
    assert take(make_loader()) == first


@pytest.mark.parametrize("steps", [0, 1, 7, 12, 13, 30])
def test_resume_goes_on_identically(steps):
    whole = make_loader()
    expected = [batch for _ in range(4) for batch in take(whole)]
    seen, interrupted = [], make_loader()
    while len(seen) < steps:
        seen += take(interrupted, steps - len(seen))
    resumed = make_loader()
    resumed.load_state_dict(interrupted.state_dict())
    while len(seen) < len(expected):
        seen += take(resumed, len(expected) - len(seen))
    assert seen == expected


def test_the_state_is_plain_numbers():
    loader = make_loader()
    take(loader, 3)
    assert loader.state_dict() == {"epoch": 0, "taken": 12}


def test_told_epochs_decide():
    loader, plain = make_loader(), make_loader()
    expected = [take(plain), take(plain), take(plain)]
    loader.sampler.set_epoch(2)
    assert take(loader) == expected[2]
    loader.set_epoch(1)
    take(loader, 3)  # a pass that is given up
    loader.set_epoch(2)
    assert take(loader) == expected[2]


def test_an_iterator_made_before_the_position_is_restored_follows_it():
    loader, other = make_loader(), make_loader()
    expected = take(other)
    iterator = iter(loader)
    loader.load_state_dict({"epoch": 0, "taken": 20})
    assert [batch["label"].tolist() for batch in iterator] == expected[5:]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_partition_the_global_batch_of_one_process(world_size):
    single = take(make_loader(batch_size=2 * world_size))
    parts = [take(make_loader(batch_size=2, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert [[row for part in batch for row in part] for batch in zip(*parts, strict=True)] == single


def test_fewer_rows_than_a_batch():
    assert [sorted(batch) for batch in take(make_loader(rows=3, batch_size=8))] == [[0, 1, 2]]
    assert take(make_loader(rows=1, batch_size=1, rank=1, world_size=2)) == [[0]]


def test_a_fixed_order_repeats_the_first_epoch():
    loader = make_loader(fixed=True)
    assert take(loader) == take(loader) == take(make_loader())


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 4))
def test_evaluation_gives_each_row_once_and_every_rank_the_same_number_of_batches(rows, batch_size, world_size):
    source = TensorRows(torch.arange(rows), torch.arange(rows))
    loaders = [EvalLoader(source, batch_size, rank=rank, world_size=world_size) for rank in range(world_size)]
    batches = [[batch["label"].tolist() for batch in loader] for loader in loaders]
    assert len({len(loader) for loader in loaders}) == 1
    assert all(1 <= len(batch) <= batch_size for part in batches for batch in part)
    seen = sorted(row for part in batches for batch in part for row in batch)
    assert set(seen) == set(range(rows))
    if rows >= len(loaders[0]) * world_size:
        assert seen == list(range(rows))


def test_rows_are_numpy_free_in_the_batch():
    (batch,) = EvalLoader(TensorRows(torch.eye(3), torch.arange(3)), 8)
    assert isinstance(batch["input"], torch.Tensor) and not isinstance(batch["label"], np.ndarray)
