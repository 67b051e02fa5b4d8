"""Statistics over time against planted signal and noise; state that goes on where it was left."""

from __future__ import annotations

import copy
import math
import statistics

import pytest
import torch

from lightning_tying.reports.stability.running import FEWEST, NARROWEST, RunningStability, robust_z
from tests.unit.reports.stability.samples import Numbers, measure


def sample(total: torch.Tensor) -> Numbers:
    return measure(total[None])


def of_norm(norm: float) -> Numbers:
    return Numbers(("a",), (norm,), norm, None)


def test_signal_to_noise_finds_what_was_planted():
    """‖E g‖² = 64 · 0.5² = 16, E ‖g - E g‖² = 64: 0.25, whatever the decay."""
    generator = torch.Generator().manual_seed(0)
    for decay in (0.9, 0.99):
        running = RunningStability(decay)
        found = [running.update(sample(0.5 + torch.randn(64, generator=generator))).snr for _ in range(800)]
        assert statistics.fmean(found[200:]) == pytest.approx(0.25, rel=0.15)


def test_pure_noise_has_next_to_no_signal_and_equal_gradients_no_noise():
    generator = torch.Generator().manual_seed(0)
    noisy, calm = RunningStability(), RunningStability()
    found = [noisy.update(sample(torch.randn(256, generator=generator))).snr for _ in range(200)]
    assert statistics.fmean(found[20:]) < 0.02
    same = [calm.update(sample(torch.ones(8))).snr for _ in range(3)]
    assert math.isnan(same[0]) and same[1:] == [math.inf, math.inf]


def test_the_first_two_samples_give_the_textbook_estimate():
    """Of two vectors: noise is half the squared distance, signal is ‖mean‖² less half of that."""
    one, other = torch.tensor([3.0, 1.0]), torch.tensor([2.0, 2.0])
    running = RunningStability()
    running.update(sample(one))
    noise = float((one - other).square().sum()) / 2
    signal = float(((one + other) / 2).square().sum()) - noise / 2
    assert running.update(sample(other)).snr == pytest.approx(signal / noise)


def test_drift_is_the_cosine_with_the_last_sample():
    running = RunningStability()
    assert math.isnan(running.update(sample(torch.tensor([1.0, 0.0]))).drift)
    assert running.update(sample(torch.tensor([1.0, 1.0]))).drift == pytest.approx(math.sqrt(0.5))
    assert running.update(sample(torch.tensor([-2.0, -2.0]))).drift == pytest.approx(-1)
    assert math.isnan(running.update(sample(torch.zeros(2))).drift)


def test_a_spike_is_told_from_the_median_and_its_deviation():
    running = RunningStability()
    norms = [1.0, 2.0, 1.5, 0.5, 1.0, 3.0, 1.2, 0.9, 1.1]
    early = [running.update(of_norm(norm)).spike for norm in norms[:FEWEST]]
    assert all(math.isnan(each) for each in early)
    logs = [math.log(norm) for norm in norms]
    for norm in (1.3, 80.0):
        middle = statistics.median(logs[:FEWEST])
        spread = 1.4826 * statistics.median(abs(each - middle) for each in logs[:FEWEST])
        found = copy.deepcopy(running).update(of_norm(norm)).spike
        assert found == pytest.approx((math.log(norm) - middle) / max(spread, NARROWEST))


def test_after_equal_norms_a_small_change_is_no_spike():
    assert robust_z(math.log(1.05), [0.0] * 20) < 1
    assert robust_z(math.log(100), [0.0] * 20) > 6


def test_healthy_norms_raise_no_alarm():
    """Log-normal norms, each twice or half the last at times, that fall over the run: no z-score above 6."""
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for _ in range(200):
        running = RunningStability()
        noise = 0.3 * torch.randn(100, generator=generator)
        for step in range(100):
            spike = running.update(of_norm(math.exp(float(noise[step]) - 2 * step / 100))).spike
            worst = max(worst, 0.0 if math.isnan(spike) else spike)
    assert worst < 6


def test_broken_samples_are_not_remembered():
    running, clean = RunningStability(), RunningStability()
    for step in range(12):
        found = running.update(sample(torch.full((3,), math.nan)))
        assert math.isnan(found.spike) and math.isnan(found.snr) and math.isnan(found.drift)
        vector = torch.tensor([1.0, step, 2.0])
        assert repr(running.update(sample(vector))) == repr(clean.update(sample(vector)))


def test_state_goes_on_where_it_was_left(tmp_path):
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(30, 5, generator=generator)
    whole, first = RunningStability(0.8), RunningStability(0.8)
    for vector in vectors[:15]:
        whole.update(sample(vector)), first.update(sample(vector))
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = RunningStability()
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for vector in vectors[15:]:
        assert repr(second.update(sample(vector))) == repr(whole.update(sample(vector)))


def test_a_sketch_of_another_size_begins_anew():
    running = RunningStability()
    running.update(sample(torch.ones(4)))
    found = running.update(sample(torch.ones(6)))
    assert math.isnan(found.drift) and math.isnan(found.snr)


@pytest.mark.parametrize("decay", [0.0, 1.0, -1.0])
def test_a_decay_that_is_none_is_refused(decay: float):
    with pytest.raises(ValueError, match="decay"):
        RunningStability(decay)
