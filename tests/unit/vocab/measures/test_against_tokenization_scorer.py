"""Rényi efficiency equals that of tokenization-scorer, the authors' own program."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.vocab.measures.usage import count_rows, renyi_efficiency

scorer = pytest.importorskip("tokenization_scorer.metrics", reason="needs tokenization-scorer, of the extra `dev`")
TEXTS = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=20), min_size=1, max_size=10)


@given(TEXTS, st.sampled_from([0.5, 1.0, 2.0, 2.5, 3.0]))
def test_over_the_rows_that_occur(encoded: list[list[int]], alpha: float) -> None:
    found = renyi_efficiency(count_rows(encoded, 31), alpha)
    if len({id for ids in encoded for id in ids}) < 2:
        assert found is None
        return
    told = scorer.get_metric("renyi")(encoded, power=alpha)
    assert found == pytest.approx(float(told), rel=1e-9, abs=1e-9)


@given(TEXTS)
def test_over_all_rows(encoded: list[list[int]]) -> None:
    told = float(scorer.get_metric("renyi")(encoded, power=2.5, vocab=31))
    assert renyi_efficiency(count_rows(encoded, 31), rows=31) == pytest.approx(told, rel=1e-9, abs=1e-9)
