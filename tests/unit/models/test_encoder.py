"""The classifier reads all tokens of a text but its padding."""

import torch

from lightning_tying.models import EncoderClassifier


def make():
    torch.manual_seed(0)
    return EncoderClassifier(50, 3, 32, 2, 4).eval(), torch.tensor([[5, 6, 7]])


@torch.no_grad()
def test_padding_changes_nothing():
    network, tokens = make()
    padded = torch.cat([tokens, torch.zeros(1, 5, dtype=torch.long)], dim=1)
    torch.testing.assert_close(network(padded), network(tokens))


@torch.no_grad()
def test_every_token_counts():
    network, tokens = make()
    for place in range(3):
        changed = tokens.clone()
        changed[0, place] = 11
        assert not torch.allclose(network(changed), network(tokens))


@torch.no_grad()
def test_order_counts():
    network, tokens = make()
    assert not torch.allclose(network(tokens.flip(1)), network(tokens))


@torch.no_grad()
def test_a_row_of_padding_alone_is_finite():
    network, _ = make()
    assert network(torch.zeros(2, 4, dtype=torch.long)).isfinite().all()
