"""What new rows are made of: mean, parts, sparsemax of likeness, orthogonal matching pursuit."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.edits.new_rows import make_row_change, sparsemax


@dataclass
class Origins:
    kept: list[int]
    parts: list[list[int]] = field(default_factory=list)
    old_size: int = 6


ORIGINS = Origins([5, 4, -1, 0, -1], [[], [], [1, 2, 1], [], []])
OLD = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))  # the last row has no id


def test_kept_rows_are_kept_bit_for_bit_and_others_are_the_mean() -> None:
    new = make_row_change(ORIGINS).carry(OLD, 0)
    assert torch.equal(new[[0, 1, 3]], OLD[[5, 4, 0]])
    torch.testing.assert_close(new[[2, 4]], OLD[:6].mean(0).expand(2, 3))


def test_a_piece_that_is_in_another_twice_counts_twice() -> None:
    change = make_row_change(ORIGINS, "subword_mean", rows=6)
    new = change.carry(OLD.T, 1).T
    torch.testing.assert_close(new[2], (2 * OLD[1] + OLD[2]) / 3)
    torch.testing.assert_close(new[4:], OLD[:6].mean(0).expand(2, 3))


def test_half_precision_and_zeros() -> None:
    change = make_row_change(ORIGINS, "subword_mean")
    half = change.carry(OLD.bfloat16(), 0)
    assert half.dtype == torch.bfloat16 and torch.equal(half[0], OLD.bfloat16()[5])
    assert not change.carry(OLD, 0, new_zero=True)[[2, 4]].any()
    assert change.carry(OLD.to("meta"), 0).shape == (5, 3)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=9))
def test_sparsemax_is_the_nearest_point_of_the_simplex(scores: list[float]) -> None:
    given_scores = torch.tensor(scores, dtype=torch.float64)
    found = sparsemax(given_scores)
    assert found.sum().item() == pytest.approx(1) and bool((found >= 0).all())
    # the conditions of Karush, Kuhn and Tucker: one threshold for all that is in, none outside is above it
    threshold = (given_scores - found)[found > 0]
    torch.testing.assert_close(threshold, threshold[:1].expand_as(threshold))
    assert bool((given_scores[found == 0] <= threshold[0] + 1e-9).all())


def test_overlap_takes_what_is_like_it() -> None:
    vectors = torch.tensor([[1.0, 0, 0], [0, 1, 0], [2, 0, 0.1], [-1, 0, 0], [0, 0, 0]])
    new = make_row_change(ORIGINS, "overlap", vectors).carry(OLD, 0)
    torch.testing.assert_close(new[2], OLD[5], atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(new[4], OLD[:6].mean(0))  # the space does not place it


def test_overlap_by_hand() -> None:
    origins = Origins([0, 1, -1], old_size=2)
    vectors = torch.tensor([[1.0, 0], [0, 1.0], [0.8, 0.6]])
    new = make_row_change(origins, "overlap", vectors).carry(OLD, 0)
    torch.testing.assert_close(new[2], 0.6 * OLD[0] + 0.4 * OLD[1])  # (.8, .6) − .2


def test_omp_finds_a_sparse_sum() -> None:
    generator = torch.Generator().manual_seed(3)
    atoms = torch.nn.functional.normalize(torch.randn(40, 24, generator=generator, dtype=torch.float64), dim=1)
    wanted = torch.nn.functional.normalize(0.7 * atoms[[3]] - 0.5 * atoms[[17]] + 0.2 * atoms[[31]], dim=1)
    origins = Origins([*range(40), -1], old_size=40)
    change = make_row_change(origins, "omp", torch.cat([atoms, wanted]), atoms=3)
    assert sorted(change.sources.tolist()) == [3, 17, 31]
    torch.testing.assert_close(change.carry(atoms, 0)[40:], wanted, atol=1e-7, rtol=1e-6)
    assert make_row_change(origins, "omp", torch.cat([atoms, wanted]), atoms=100).sources.numel() <= 40


def test_shares_of_weights_sum_to_one() -> None:
    vectors = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, -2, 0.1], [-1, 0, 0.5], [0, 0, 0]])
    shares = make_row_change(ORIGINS, "omp", vectors).without_signs()
    assert bool((shares.weights >= 0).all())
    assert shares.weights.sum().item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("rule", "vectors", "options", "words"),
    [
        ("median", None, {}, "new_rows is one of mean, subword_mean, overlap, omp, not 'median'"),
        ("omp", None, {}, "omp needs a helper space"),
        ("overlap", torch.zeros(4, 2), {}, r"The helper space is \[4, 2\], and the new vocabulary has 5 ids"),
        ("overlap", torch.full((5, 2), float("nan")), {}, "no numbers"),
        ("omp", torch.ones(5, 2), {"atoms": 0}, "1 piece or more"),
        ("mean", None, {"rows": 4}, "5 ids, which do not fit into 4 rows"),
    ],
)
def test_bad_requests(rule: str, vectors: torch.Tensor | None, options: dict[str, int], words: str) -> None:
    with pytest.raises(ApplyError, match=words):
        make_row_change(ORIGINS, rule, vectors, **options)  # pyright: ignore


def test_nothing_in_common() -> None:
    with pytest.raises(ApplyError, match="No piece of the new vocabulary is in the old one"):
        make_row_change(Origins([-1, -1]), "overlap", torch.ones(2, 2))
