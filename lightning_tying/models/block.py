"""Hidden states in, hidden states out: the pre-norm block of the decoder LM and of the encoder classifier."""

from typing import final

from torch import Tensor, nn

from lightning_tying.models.arguments import check_at_least_one, check_choice, check_fraction, check_heads, check_rotary
from lightning_tying.models.attention import SelfAttention
from lightning_tying.models.cache import KeyValues
from lightning_tying.models.feed_forward import ACTIVATIONS, Activation, FeedForward, default_hidden
from lightning_tying.models.linear import residual_gain
from lightning_tying.models.rotary import Rotation

NORM_EPS = 1e-5


@final
class Block(nn.Module):
    """`x + attn(norm1(x))`, then `x + mlp(norm2(x))`, with RMS norms and without biases.

    Args:
        dim: Width of the hidden states.
        heads: Heads of the queries.
        kv_heads: Heads of keys and values.
        hidden: Width between the projections of the feed-forward network.
        activation: `"swiglu"` or `"gelu"`.
        dropout: Probability with which a cell of a branch's output, and an attention weight, is dropped in training.
        depth: How many blocks the network has; the deeper, the smaller a branch begins.
    """

    def __init__(
        self,
        *,
        dim: int,
        heads: int,
        kv_heads: int,
        hidden: int,
        activation: Activation,
        dropout: float,
        depth: int,
    ) -> None:
        super().__init__()
        gain = residual_gain(depth)
        self.norm1 = nn.RMSNorm(dim, eps=NORM_EPS)
        self.attn = SelfAttention(dim, heads, kv_heads, dropout=dropout, gain=gain)
        self.norm2 = nn.RMSNorm(dim, eps=NORM_EPS)
        self.mlp = FeedForward(dim, hidden, activation=activation, gain=gain)
        self.drop = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        rotation: Rotation,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        cache: KeyValues | None = None,
    ) -> Tensor:
        """[B, T, dim] → [B, T, dim]; the other arguments are those of `SelfAttention.forward`."""
        attended = self.attn(self.norm1(x), mask=mask, causal=causal, rotation=rotation, cache=cache)
        x = x + self.drop(attended)
        return x + self.drop(self.mlp(self.norm2(x)))


def make_blocks(
    network: str,
    *,
    dim: int,
    depth: int,
    heads: int,
    kv_heads: int | None,
    hidden: int | None,
    activation: Activation,
    dropout: float,
) -> nn.ModuleList:
    """Check a network's arguments, fill in its defaults, and build its blocks.

    Args:
        network: The network's class, for the messages.
        dim: As in `Block`, as are those not named here.
        depth: Number of blocks.
        heads: Heads of the queries.
        kv_heads: Heads of keys and values. Default: `heads`.
        hidden: Default: see `default_hidden`.
        activation: `"swiglu"` or `"gelu"`.
        dropout: Probability of dropout in training.

    Raises:
        ValueError: An argument does not fit; the message says which, and what to write.
    """
    check_choice(network, "activation", activation, ACTIVATIONS)
    kv_heads = heads if kv_heads is None else kv_heads
    hidden = default_hidden(dim, activation) if hidden is None else hidden
    check_heads(network, dim, heads, kv_heads)
    check_rotary(network, dim, heads)
    check_at_least_one(network, depth=depth, hidden=hidden)
    check_fraction(network, dropout=dropout)
    return nn.ModuleList(
        Block(
            dim=dim,
            heads=heads,
            kv_heads=kv_heads,
            hidden=hidden,
            activation=activation,
            dropout=dropout,
            depth=depth,
        )
        for _ in range(depth)
    )
