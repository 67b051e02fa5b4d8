"""Token ids in, logits of the next token out: a Transformer language model."""

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from lightning_tying.models.arguments import check_at_least_one
from lightning_tying.models.block import NORM_EPS, make_blocks
from lightning_tying.models.cache import KeyValueCache
from lightning_tying.models.feed_forward import Activation
from lightning_tying.models.linear import HEAD_GAIN, Projection, TokenEmbedding
from lightning_tying.models.rotary import make_rotation


@final
class DecoderLM(nn.Module):
    """A decoder-only Transformer in the manner of Llama: pre-norm, RMS norms, rotary positions, no biases.

    FQNs: `embed.weight`, `layers.{l}.attn.{q,k,v,o}.weight`, `layers.{l}.mlp.{gate,up,down}.weight` (`gate` with
    SwiGLU only), `layers.{l}.norm1.weight`, `layers.{l}.norm2.weight`, `norm.weight`, `head.weight`. Embedding and head
    have one shape and suit one tensor (see `TokenEmbedding`).

    Args:
        vocab_size: Number of token ids.
        dim: Width of the hidden states.
        depth: Number of layers.
        heads: Heads of the queries; divides `dim`, and leaves an even number of channels.
        kv_heads: Heads of keys and values; divides `heads`. Default: `heads`.
        hidden: Width inside the feed-forward networks. Default: 4 · dim for GELU, about 8/3 · dim for SwiGLU.
        activation: `"swiglu"` or `"gelu"`.
        dropout: Probability of dropout in training.
        rope_base: Base of the rotary wave lengths.

    Raises:
        ValueError: An argument does not fit; the message says which, and what to write.
    """

    # Which vocabulary numbers the rows of a site: tables of two vocabularies must not be tied by index.
    vocabulary_sites: ClassVar[Mapping[str, str]] = {"embed.weight": "text", "head.{part}": "text"}
    tensor_parallel_styles: ClassVar[Mapping[str, str]] = {
        "embed": "rowwise",
        "layers.{l}.attn.{part:q|k|v}": "colwise",
        "layers.{l}.attn.o": "rowwise",
        "layers.{l}.mlp.{part:gate|up}": "colwise",
        "layers.{l}.mlp.down": "rowwise",
        "head": "colwise_gather",
    }

    def __init__(
        self,
        vocab_size: int,
        dim: int = 256,
        depth: int = 8,
        heads: int = 4,
        *,
        kv_heads: int | None = None,
        hidden: int | None = None,
        activation: Activation = "swiglu",
        dropout: float = 0.0,
        rope_base: float = 10_000.0,
    ) -> None:
        check_at_least_one("DecoderLM", vocab_size=vocab_size)
        layers = make_blocks(
            "DecoderLM",
            dim=dim,
            depth=depth,
            heads=heads,
            kv_heads=kv_heads,
            hidden=hidden,
            activation=activation,
            dropout=dropout,
        )
        super().__init__()
        self.channels = dim // heads
        self.rope_base = rope_base
        self.embed = TokenEmbedding(vocab_size, dim)
        self.drop = nn.Dropout(dropout)
        self.layers = layers
        self.norm = nn.RMSNorm(dim, eps=NORM_EPS)
        self.head = Projection(dim, vocab_size, gain=HEAD_GAIN)

    def new_cache(self) -> KeyValueCache:
        """An empty cache for one batch of texts to decode."""
        return KeyValueCache(len(self.layers))

    def forward(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Logits of the token after each token.

        Args:
            tokens: Ids, int64 [B, T]; with a cache those that it has not seen yet.
            cache: What `new_cache` gave: the tokens before; `tokens` are added to it.

        Returns:
            Logits [B, T, vocab_size]. Those at t depend on the tokens up to t only, so padding at the end does no harm.
        """
        start = 0 if cache is None else cache.length
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        rotation = make_rotation(positions, self.channels, self.rope_base)
        x = self.drop(self.embed(tokens))
        for number, layer in enumerate(self.layers):
            x = layer(x, rotation, causal=True, cache=None if cache is None else cache.tokens[number])
        return self.head(self.norm(x))
