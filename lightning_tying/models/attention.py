"""Hidden states in, hidden states out: grouped-query attention to oneself (with rotary positions) and to a memory."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from lightning_tying.models.cache import KeyValues
from lightning_tying.models.linear import Projection
from lightning_tying.models.rotary import Rotation, rotate


class Attention(nn.Module):
    """The four projections of an attention, and what both kinds do with them.

    Args:
        dim: Width of the hidden states.
        heads: Heads of the queries; divides `dim`.
        kv_heads: Heads of keys and values; divides `heads`. Fewer than `heads` is grouped-query attention
            (Ainslie et al. 2023), 1 is multi-query attention.
        bias: Whether the projections have biases.
        dropout: Probability with which an attention weight is dropped in training.
        gain: Gain of the output projection's first values.
    """

    def __init__(
        self, dim: int, heads: int, kv_heads: int, *, bias: bool = False, dropout: float = 0.0, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.channels = dim // heads
        self.grouped = kv_heads != heads
        self.dropout = dropout
        self.q = Projection(dim, dim, bias=bias)
        self.k = Projection(dim, kv_heads * self.channels, bias=bias)
        self.v = Projection(dim, kv_heads * self.channels, bias=bias)
        self.o = Projection(dim, dim, bias=bias, gain=gain)

    def split(self, x: Tensor) -> Tensor:
        """Heads as a dimension: [B, T, heads · channels] → [B, heads, T, channels]."""
        return x.view(x.shape[0], x.shape[1], -1, self.channels).transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """Mix the values and project: [B, heads, T, channels] → [B, T, dim]."""
        mixed = scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
            enable_gqa=self.grouped,
        )
        return self.o(mixed.transpose(1, 2).flatten(2))


@final
class SelfAttention(Attention):
    """Attention of tokens to tokens of the same text. Its arguments are `Attention`'s."""

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        rotation: Rotation | None = None,
        cache: KeyValues | None = None,
    ) -> Tensor:
        """Let every token look at the tokens of its text.

        Args:
            x: Hidden states [B, T, dim].
            mask: True where a token may be seen, broadcast to [B, heads, T, T]; not together with `causal`.
            causal: Whether a token sees only itself and those before it.
            rotation: Rotations of the positions of `x`.
            cache: Keys and values of the tokens before `x`; those of `x` are appended.

        Returns:
            Hidden states [B, T, dim].
        """
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        if cache is not None:
            k, v = cache.append(k, v)
        if causal and k.shape[2] > q.shape[2]:  # `is_causal` would align the first query with the first key
            mask, causal = _causal_mask(q.shape[2], k.shape[2], x.device), False
        return self.attend(q, k, v, mask, causal and bool(q.shape[2] > 1))  # bool: a size may be symbolic in an export


@final
class CrossAttention(Attention):
    """Attention of tokens to a memory, such as an encoder's output. Its arguments are `Attention`'s."""

    def forward(
        self, x: Tensor, memory: Tensor, *, mask: Tensor | None = None, cache: KeyValues | None = None
    ) -> Tensor:
        """Let every token look at the memory.

        Args:
            x: Hidden states [B, T, dim].
            memory: What is looked at [B, S, dim].
            mask: True where the memory may be seen, broadcast to [B, heads, T, S].
            cache: Keys and values of the memory; filled at its first use, then read in place of `memory`.

        Returns:
            Hidden states [B, T, dim].
        """
        pair = None if cache is None else cache.read()
        if pair is None:
            pair = self.split(self.k(memory)), self.split(self.v(memory))
            if cache is not None:
                pair = cache.append(*pair)
        return self.attend(self.split(self.q(x)), *pair, mask, causal=False)


def _causal_mask(queries: int, keys: int, device: torch.device) -> Tensor | None:
    """True where the last `queries` of `keys` tokens may look; None where they may look everywhere."""
    if queries == 1:
        return None
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)
