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


def test_uniform_and_proportional_are_the_ends_of_alpha():
    sizes = {"en": 900, "hi": 100, "xx": 0}
    assert Sampling(policy="uniform").probabilities(sizes) == Sampling(0.0).probabilities(sizes)
    assert Sampling(policy="proportional").probabilities(sizes) == Sampling(1.0).probabilities(sizes)


def test_unimax_repeats_no_language_too_often_and_gives_the_rest_to_the_larger():
    sampling = Sampling(policy="unimax", max_epochs=2)
    # 10 of hi may become 20; the other 980 of 1,000 are shared alike by the two that have enough
    assert sampling.counts({"en": 5000, "hi": 10, "de": 4000}, 1000) == {"en": 490, "hi": 20, "de": 490}


def test_unimax_with_text_enough_is_uniform():
    assert Sampling(policy="unimax").counts({"en": 500, "de": 400}, 100) == {"en": 50, "de": 50}


@given(SIZES, st.floats(0.1, 10), st.integers(0, 10**6))
def test_unimax_caps_a_language_unless_all_are_capped(sizes, max_epochs, total):
    counts = Sampling(policy="unimax", max_epochs=max_epochs).counts(sizes, total)
    assert sum(counts.values()) == total
    if total <= max_epochs * sum(sizes.values()):
        assert all(counts[name] <= max_epochs * size + 1 + 1e-6 * total for name, size in sizes.items())


def test_weights():
    sampling = Sampling(policy="weights", weights={"en": 1, "hi": 3})
    assert sampling.probabilities({"en": 7, "hi": 7}) == {"en": 0.25, "hi": 0.75}
    assert sampling.probabilities({"en": 7, "hi": 0}) == {"en": 1.0, "hi": 0.0}
    with pytest.raises(ConfigError, match="there is none for de and one for hi"):
        sampling.probabilities({"en": 7, "de": 1})
    assert hash(sampling) == hash(Sampling(policy="weights", weights={"en": 1, "hi": 3}))


def test_all_mistakes_at_once():
    with pytest.raises(ConfigError) as caught:
        Sampling(2.0, "tempature", max_epochs=0, weights={"de": -1})
    text = str(caught.value)
    assert all(word in text for word in ("alpha is 2.0", "'tempature'", "max_epochs is 0", "belong together"))


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ConfigError, match=r"sampling\.alpha is .* between 0 .* and 1"):
        Sampling(alpha)


def test_nothing_to_draw_from_is_refused():
    with pytest.raises(ConfigError, match="no language has any text"):
        Sampling().probabilities({"en": 0})
    with pytest.raises(ConfigError, match="cannot be negative"):
        Sampling().probabilities({"en": -1})
