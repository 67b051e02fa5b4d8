"""What two languages share: the divergence is SciPy's, squared; the other numbers are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from lightning_tying.vocab.measures.overlap import jensen_shannon, measure_overlap

COUNTS = st.lists(st.integers(0, 9), min_size=6, max_size=6).filter(any)


@given(COUNTS, COUNTS)
def test_divergence_is_the_square_of_scipys_distance(one: list[int], other: list[int]) -> None:
    told = float(np.nan_to_num(jensenshannon(one, other, base=2))) ** 2
    assert jensen_shannon(np.array(one), np.array(other)) == pytest.approx(told, abs=1e-9)


def test_by_hand() -> None:
    found = measure_overlap(np.array([6, 2, 0, 2]), np.array([0, 3, 1, 0]))
    assert found is not None
    assert found.coverage == (pytest.approx(1 / 3), pytest.approx(1 / 2))
    assert found.running == pytest.approx((0.2 + 0.75) / 2)
    assert found.saved == pytest.approx(1 / 5)


def test_rows_of_own_vocabularies_count_before_use() -> None:
    """A row map says what is shared, whether or not these texts use it."""
    owned = np.array([1, 1, 1, 0]), np.array([1, 1, 0, 1])
    found = measure_overlap(np.array([5, 0, 5, 0]), np.array([0, 0, 0, 4]), owned)
    assert found is not None and found.divergence == pytest.approx(1)
    assert found.coverage == (pytest.approx(2 / 3), pytest.approx(2 / 3)) and found.saved == pytest.approx(2 / 6)
    assert found.running == pytest.approx((0.5 + 0) / 2)


def test_a_language_without_tokens_has_no_overlap() -> None:
    assert measure_overlap(np.array([0, 0]), np.array([1, 0])) is None
