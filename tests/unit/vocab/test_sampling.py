"""Shares and expected counts of temperature sampling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling

SIZES = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 10**9), min_size=1).filter(
    lambda sizes: any(sizes.values())
)


def test_alpha_moves_from_uniform_to_proportional():
    sizes = {"en": 900, "hi": 100}
    assert Sampling(0.0).probabilities(sizes) == {"en": 0.5, "hi": 0.5}
    assert Sampling(1.0).probabilities(sizes) == pytest.approx({"en": 0.9, "hi": 0.1})
    assert Sampling(0.5).probabilities(sizes) == pytest.approx({"en": 0.75, "hi": 0.25})


def test_a_language_without_text_has_no_share():
    assert Sampling(0.0).probabilities({"en": 5, "xx": 0}) == {"en": 1.0, "xx": 0.0}


@given(SIZES, st.integers(0, 10**6), st.floats(0, 1))
def test_counts_sum_to_the_total_and_stay_near_the_shares(sizes, total, alpha):
    sampling = Sampling(alpha)
    counts = sampling.counts(sizes, total)
    assert sum(counts.values()) == total
    for name, share in sampling.probabilities(sizes).items():
        assert abs(counts[name] - share * total) <= 1 + 1e-6 * total


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ConfigError, match=r"sampling\.alpha is .* between 0 .* and 1"):
        Sampling(alpha)


def test_nothing_to_draw_from_is_refused():
    with pytest.raises(ConfigError, match="no language has any text"):
        Sampling().probabilities({"en": 0})
    with pytest.raises(ConfigError, match="cannot be negative"):
        Sampling().probabilities({"en": -1})
