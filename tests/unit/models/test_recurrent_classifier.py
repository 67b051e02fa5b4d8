"""The recurrent classifier: against one run series by series, and blind to padding."""

import pytest
import torch
from torch import nn

from lightning_tying import tie
from lightning_tying.models.recurrent_classifier import RecurrentClassifier
from tests.gallery.schemes import CONFIGS
from tests.trees import count

LENGTHS = [5, 1, 9, 3]


@pytest.fixture
def series():
    torch.manual_seed(1)
    made = torch.randn(4, 9, 3, dtype=torch.float64)
    for row, length in enumerate(LENGTHS):
        made[row, length:] = 0
    return made


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_equals_each_series_alone(series, kind, bidirectional):
    network = RecurrentClassifier(3, 4, 5, 2, kind, bidirectional=bidirectional).double()
    for row, length in enumerate(LENGTHS):
        states, _ = network.rnn(series[row : row + 1, :length])
        torch.testing.assert_close(network(series)[row], network.head(states.mean(1))[0], rtol=0, atol=1e-12)


def test_padding_and_company_change_nothing(series):
    network = RecurrentClassifier(3, 4, 5, 2).double()
    longer = torch.cat([series, torch.zeros(4, 6, 3, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(network(longer), network(series), rtol=0, atol=1e-12)
    torch.testing.assert_close(network(series[1:2]), network(series)[1:2], rtol=0, atol=1e-12)


def test_a_frame_of_zeros_inside_a_series_counts(series):
    network = RecurrentClassifier(3, 4, 5, 1).double()
    series[2, 4] = 0
    states, _ = network.rnn(series[2:3])
    torch.testing.assert_close(network(series)[2], network.head(states.mean(1))[0], rtol=0, atol=1e-12)


def test_a_series_of_zeros_alone_has_one_frame():
    assert torch.isfinite(RecurrentClassifier(3, 4, 5, 1)(torch.zeros(2, 6, 3))).all()


def test_bidirectional_tying_is_for_it():
    """Three layers, 12 channels, width 32: one cell for the first layer, one for all others."""
    network = RecurrentClassifier(12, 9, 32, 3)
    before = count(network)
    tie(network, CONFIGS / "bidirectional_tying.yaml")
    first, upper = 4 * 32 * (12 + 32 + 2), 4 * 32 * (64 + 32 + 2)
    assert before - count(network) == (2 * first + 4 * upper) - (first + upper)
    network(torch.randn(2, 5, 12)).sum().backward()
    assert isinstance(network.rnn, nn.LSTM)
    assert network.rnn.weight_hh_l2_reverse is network.rnn.weight_hh_l1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 0}, "RecurrentClassifier: `channels` is 0"),
        ({"depth": 0}, "RecurrentClassifier: `depth` is 0"),
        ({"kind": "lstn"}, "Did you mean 'lstm'"),
        ({"dropout": 1.0}, "`dropout` is 1.0"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        RecurrentClassifier(**{"channels": 3, "classes": 2, **arguments})
