"""Likelihoods of text: sums over rows, languages and processes."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_tying.tasks.metrics import TextLikelihood, row_likelihood


def test_bits_per_byte_is_summed_bits_over_summed_bytes() -> None:
    metric = TextLikelihood(["de", "en"])
    metric.update(torch.tensor([8.0, 4.0]), torch.tensor([4, 2]), torch.tensor([10, 6]), torch.tensor([0, 1]))
    metric.update(torch.tensor([2.0]), torch.tensor([1]), torch.tensor([2]), torch.tensor([1]))
    values = metric.compute()
    assert values["bits_per_byte"] == pytest.approx(14 / math.log(2) / 18)
    assert values["bits_per_byte/de"] == pytest.approx(8 / math.log(2) / 10)
    assert values["bits_per_byte/en"] == pytest.approx(6 / math.log(2) / 8)
    assert values["perplexity"] == pytest.approx(math.exp(14 / 7))


def test_two_halves_reduced_are_the_whole() -> None:
    generator = torch.Generator().manual_seed(1)
    rows = [
        (torch.rand(3, generator=generator), torch.randint(1, 9, (3,)), torch.randint(1, 9, (3,)), torch.arange(3) % 2)
        for _ in range(4)
    ]
    whole, halves = TextLikelihood(["a", "b"]), [TextLikelihood(["a", "b"]) for _ in range(2)]
    for place, row in enumerate(rows):
        whole.update(*row)
        halves[place % 2].update(*row)
    halves[0].likelihood += halves[1].likelihood
    halves[0].tokens += halves[1].tokens
    halves[0].bytes += halves[1].bytes
    assert halves[0].compute() == pytest.approx(whole.compute())


def test_a_language_that_was_not_seen_has_no_value() -> None:
    metric = TextLikelihood(["de", "en"])
    metric.update(torch.tensor([1.0]), torch.tensor([1]), torch.tensor([1]), torch.tensor([0]))
    assert "bits_per_byte/en" not in metric.compute()


def test_a_metric_without_rows_is_not_a_number() -> None:
    values = TextLikelihood().compute()
    assert math.isnan(values["bits_per_byte"])
    assert math.isnan(values["perplexity"])


def test_padding_counts_nothing() -> None:
    logits = torch.randn(2, 3, 5)
    targets = torch.tensor([[1, 2, 0], [3, 0, 0]])
    likelihood, count = row_likelihood(logits, targets, ignored=0)
    by_hand = -torch.log_softmax(logits, dim=-1)
    assert likelihood[0] == pytest.approx(float(by_hand[0, 0, 1] + by_hand[0, 1, 2]))
    assert likelihood[1] == pytest.approx(float(by_hand[1, 0, 3]))
    assert count.tolist() == [2, 1]
