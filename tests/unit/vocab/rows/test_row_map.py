"""RowMap: what it answers, and what it refuses to be."""

from __future__ import annotations

import numpy as np
import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows import RowMap


def _map(members, n_rows, **more):
    arrays = {name: np.array(rows, np.int32) for name, rows in members.items()}
    return RowMap(arrays, n_rows, dict.fromkeys(members, "digest"), **more)


def test_it_counts_ids_and_rows_without_holes():
    rows = _map({"a": [0, 1, -1, 2], "b": [0, 3]}, 4)
    assert (rows.n_ids, rows.n_rows, rows.saved, rows.saved_share) == (5, 4, 1, 0.2)
    assert rows.readers().tolist() == [2, 1, 1, 1]
    assert rows.shared_with("a", "b") == 1
    assert rows.ids_of("b").tolist() == [0, -1, -1, 1]


def test_of_two_ids_at_one_row_the_smaller_is_the_inverse():
    assert _map({"a": [1, 0, 1]}, 2).ids_of("a").tolist() == [1, 0]


def test_multiplicity_makes_the_probabilities_of_ids_sum_to_one():
    rows = _map({"a": [0, 1, 1, 2, 1, -1, 0], "b": [3]}, 4)
    logits = np.random.default_rng(0).normal(size=rows.n_rows)
    own = rows.rows_of("a")
    real = own != -1
    by_row = np.exp(logits[:3]) / np.exp(logits[:3]).sum()  # the member's rows, each once
    by_id = np.exp(logits[own[real]] - rows.log_multiplicity("a")[real]) / np.exp(logits[:3]).sum()
    assert by_id.sum() == pytest.approx(1.0)
    assert by_id[[1, 2, 3]].sum() != by_id[1]  # they part what they share
    assert [by_id[own[real] == row].sum() for row in range(3)] == pytest.approx(by_row)
    assert rows.log_multiplicity("a")[5] == 0.0


def test_its_vectors_are_its_own():
    given = np.array([0, 1], np.int64)
    rows = RowMap({"a": given}, 2, {"a": "x"})
    given[0] = 1
    assert rows.rows_of("a").tolist() == [0, 1] and rows.rows_of("a").dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        rows.rows_of("a")[0] = 1


@pytest.mark.parametrize(
    ("members", "n_rows", "message"),
    [
        ({}, 0, "at least one member"),
        ({"a": [0, 2]}, 2, "reads row 2 for its id 1, and there are 2 rows"),
        ({"a": [0, -2]}, 1, "go from -2 to 0"),
        ({"a": [0, 1]}, 3, r"no member reads 1 of them \(first: 2\)"),
        ({"a": [0, -1]}, 1, "the last one is a hole"),
        ({"a": []}, 0, "has no ids"),
        ({"a/b": [0]}, 1, "cannot name a member"),
        ({"a#b": [0]}, 1, "cannot name a member"),
        ({"": [0]}, 1, "cannot name a member"),
    ],
)
def test_what_is_no_row_map_is_refused(members, n_rows, message):
    with pytest.raises(ConfigError, match=message):
        _map(members, n_rows)


def test_other_numbers_than_whole_ones_are_refused():
    with pytest.raises(ConfigError, match="whole numbers"):
        RowMap({"a": np.array([0.0])}, 1, {"a": "x"})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="go from"):
        RowMap({"a": np.array([2**40])}, 1, {"a": "x"})  # type: ignore[dict-item]


def test_digests_are_of_the_members():
    with pytest.raises(ConfigError, match="digests for b"):
        RowMap({"a": np.array([0], np.int32)}, 1, {"b": "x"})


def test_special_tokens_of_one_name_read_one_row_and_nothing_else_does():
    specials = {"a": {"<pad>": 0}, "b": {"<pad>": 1}}
    assert _map({"a": [0, 1], "b": [1, 0]}, 2, specials=specials).n_rows == 2
    with pytest.raises(ConfigError, match="row 0 in 'a' and row 2 in 'b'"):
        _map({"a": [0, 1], "b": [1, 2]}, 3, specials=specials)
    with pytest.raises(ConfigError, match="id 1 of 'a' reads row 0, which belongs to a special"):
        _map({"a": [0, 0], "b": [1, 0]}, 2, specials=specials)
    with pytest.raises(ConfigError, match="different names read one row"):
        _map({"a": [0, 0]}, 1, specials={"a": {"<pad>": 0, "<eos>": 1}})
    with pytest.raises(ConfigError, match="which is not"):
        _map({"a": [0]}, 1, specials={"a": {"<pad>": 5}})


def test_unknown_members_are_named():
    with pytest.raises(ConfigError, match="no member 'c'; it has: a, b"):
        _map({"a": [0], "b": [0]}, 1).rows_of("c")


def test_equal_maps_are_equal():
    assert _map({"a": [0, 1]}, 2) == _map({"a": [0, 1]}, 2)
    assert _map({"a": [0, 1]}, 2) != _map({"a": [1, 0]}, 2)
    assert _map({"a": [0]}, 1) != _map({"a": [0]}, 1, policy="none")
