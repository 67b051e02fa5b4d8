"""Grouped-query attention is multi-head attention with repeated keys; rotary positions count distances only."""

import torch

from lightning_tying.models.attention import SelfAttention
from lightning_tying.models.rotary import make_rotation, rotate
from lightning_tying.models.sinusoidal import sinusoidal_positions


@torch.no_grad()
def test_grouped_queries_equal_repeated_heads():
    torch.manual_seed(0)
    grouped, full = SelfAttention(32, 8, 2), SelfAttention(32, 8, 8)
    for name in "qo":
        getattr(full, name).weight.copy_(getattr(grouped, name).weight)
    for name in "kv":
        heads = getattr(grouped, name).weight.view(2, 4, 32)
        getattr(full, name).weight.copy_(heads.repeat_interleave(4, dim=0).flatten(0, 1))
    x, rotation = torch.randn(2, 5, 32), make_rotation(torch.arange(5), 4)
    found, expected = grouped(x, causal=True, rotation=rotation), full(x, causal=True, rotation=rotation)
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_attention_equals_the_formula():
    torch.manual_seed(0)
    attention, x = SelfAttention(8, 2, 2, bias=True), torch.randn(1, 3, 8)
    q, k, v = (attention.split(getattr(attention, m)(x)) for m in "qkv")
    weights = (q @ k.transpose(2, 3) / 2.0).masked_fill(torch.ones(3, 3).triu(1).bool(), -torch.inf).softmax(-1)
    expected = attention.o((weights @ v).transpose(1, 2).reshape(1, 3, 8))
    torch.testing.assert_close(attention(x, causal=True), expected)


def test_rotation_keeps_norms_and_sees_distances_only():
    torch.manual_seed(0)
    q, k = torch.randn(8), torch.randn(8)
    x = torch.stack([q, q]).expand(1, 1, 2, 8)
    y = torch.stack([k, k]).expand(1, 1, 2, 8)
    turned = rotate(x, make_rotation(torch.tensor([3, 103]), 8))
    other = rotate(y, make_rotation(torch.tensor([1, 101]), 8))
    products = (turned * other).sum(-1)
    torch.testing.assert_close(products[0, 0, 0], products[0, 0, 1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))


def test_rotation_at_position_zero_changes_nothing():
    x = torch.randn(1, 1, 1, 6)
    assert torch.equal(rotate(x, make_rotation(torch.tensor([0]), 6)), x)


def test_sinusoidal_positions_are_distinct_and_bounded():
    vectors = sinusoidal_positions(torch.arange(1000), 16)
    assert vectors.shape == (1000, 16)
    assert vectors.abs().max() <= 1
    assert torch.unique(vectors, dim=0).shape[0] == 1000
