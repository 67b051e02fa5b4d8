"""The hash of all cells at once against the hash of one."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.algebra.maps.hashed_numbers import hash_cells
from lightning_tying.spec.hashing import hash_values

WHOLE = st.integers(-(2**63), 2**63 - 1)
PLAIN = st.lists(WHOLE | st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=3)


@given(PLAIN, st.lists(WHOLE, min_size=1, max_size=9), PLAIN)
def test_equals_the_hash_of_one(before, cells, after):
    found = hash_cells(*before, torch.tensor(cells), *after)
    assert found.dtype == torch.int64
    assert found.tolist() == [hash_values(*before, cell, *after) for cell in cells]


@given(PLAIN)
def test_without_tensors(values):
    assert hash_cells(*values).item() == hash_values(*values)


def test_tensors_are_broadcast_and_not_written_to():
    rows, columns = torch.arange(-3, 3).view(6, 1), torch.arange(5)
    found = hash_cells(rows, "k", columns)
    assert found.tolist() == [[hash_values(r, "k", c) for c in range(5)] for r in range(-3, 3)]
    assert rows.view(-1).tolist() == [-3, -2, -1, 0, 1, 2]
    assert columns.tolist() == [0, 1, 2, 3, 4]
