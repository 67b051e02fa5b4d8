"""Source and target ids in, logits of the next target token out: a Transformer for translation.

Pre-norm with LayerNorms; the norm after the last layer has no parameters, so the parameters are exactly those of
Vaswani et al. 2017 (whose post-norm needs none there either), while training needs no long warm-up.
"""

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from lightning_tying.models.arguments import check_at_least_one, check_fraction, check_heads, check_multiple
from lightning_tying.models.attention import CrossAttention, SelfAttention
from lightning_tying.models.cache import KeyValueCache, KeyValues
from lightning_tying.models.linear import HEAD_GAIN, Projection, TokenEmbedding, residual_gain
from lightning_tying.models.sinusoidal import sinusoidal_positions


@final
class EncoderLayer(nn.Module):
    """`x + self_attn(norm1(x))`, then `x + fc2(gelu(fc1(norm2(x))))`, all with biases."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float, depth: int) -> None:
        super().__init__()
        gain = residual_gain(depth)
        self.self_attn = SelfAttention(dim, heads, heads, bias=True, dropout=dropout, gain=gain)
        self.fc1 = Projection(dim, hidden, bias=True)
        self.fc2 = Projection(hidden, dim, bias=True, gain=gain)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """[B, S, dim] → [B, S, dim]; `mask` is True where the source may be seen."""
        x = x + self.drop(self.self_attn(self.norm1(x), mask=mask))
        return x + self.drop(self.fc2(self.drop(gelu(self.fc1(self.norm2(x))))))


@final
class DecoderLayer(nn.Module):
    """An encoder layer that also looks at the encoder's memory, between its two halves."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float, depth: int) -> None:
        super().__init__()
        gain = residual_gain(depth, branches=3)
        self.self_attn = SelfAttention(dim, heads, heads, bias=True, dropout=dropout, gain=gain)
        self.cross_attn = CrossAttention(dim, heads, heads, bias=True, dropout=dropout, gain=gain)
        self.fc1 = Projection(dim, hidden, bias=True)
        self.fc2 = Projection(hidden, dim, bias=True, gain=gain)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.drop = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Tensor | None,
        tokens_cache: KeyValues | None = None,
        memory_cache: KeyValues | None = None,
    ) -> Tensor:
        """[B, T, dim] → [B, T, dim]; `mask` is True where the memory [B, S, dim] may be seen."""
        x = x + self.drop(self.self_attn(self.norm1(x), causal=True, cache=tokens_cache))
        x = x + self.drop(self.cross_attn(self.norm2(x), memory, mask=mask, cache=memory_cache))
        return x + self.drop(self.fc2(self.drop(gelu(self.fc1(self.norm3(x))))))


class Stack(nn.Module):
    """An embedding with sinusoidal positions, the layers, and a last norm without parameters."""

    def __init__(self, vocab_size: int, dim: int, dropout: float, layers: list[nn.Module]) -> None:
        super().__init__()
        self.embed = TokenEmbedding(vocab_size, dim)
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.drop = nn.Dropout(dropout)

    def read(self, tokens: Tensor, start: int = 0) -> Tensor:
        """Ids [B, T] whose first stands at position `start` → vectors [B, T, dim]."""
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        x = self.embed(tokens)
        return self.drop(x + sinusoidal_positions(positions, x.shape[-1]).to(x.dtype))


@final
class Encoder(Stack):
    """The encoder's half."""

    def forward(self, source: Tensor, mask: Tensor | None) -> Tensor:
        """Ids [B, S] → memory [B, S, dim]."""
        x = self.read(source)
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


@final
class Decoder(Stack):
    """The decoder's half, without the head."""

    def forward(self, target: Tensor, memory: Tensor, mask: Tensor | None, cache: KeyValueCache | None) -> Tensor:
        """Ids [B, T] → hidden states [B, T, dim]."""
        x = self.read(target, 0 if cache is None else cache.length)
        for number, layer in enumerate(self.layers):
            x = (
                layer(x, memory, mask)
                if cache is None
                else layer(x, memory, mask, cache.tokens[number], cache.memory[number])
            )
        return self.norm(x)


@final
class EncoderDecoder(nn.Module):
    """An encoder–decoder Transformer with one vocabulary for source and target, or one for each.

    FQNs: `encoder.embed.weight` [source_vocab_size, dim], `decoder.embed.weight`, `head.weight` [vocab_size, dim];
    `{encoder,decoder}.layers.{l}.self_attn.{q,k,v,o}`, in the decoder also `.cross_attn.{q,k,v,o}`; `.fc1`, `.fc2`,
    `.norm1`, `.norm2`, in the decoder `.norm3`, each `.weight` and `.bias`. Embeddings are scaled when they are read,
    so that all three tables suit one tensor (see `TokenEmbedding`).

    Args:
        vocab_size: Number of token ids, of the target where the source has its own.
        dim: Width of the hidden states, even.
        depth: Number of layers of the encoder, and of the decoder.
        heads: Attention heads; divides `dim`.
        hidden: Width inside the feed-forward networks. Default: 4 · dim.
        dropout: Probability of dropout in training.
        encoder_depth: Number of the encoder's layers where it is not `depth`.
        decoder_depth: Number of the decoder's layers where it is not `depth`.
        source_vocab_size: Number of the source's token ids where it is not `vocab_size`.
        pad_id: The id that fills short rows.

    Raises:
        ValueError: An argument does not fit; the message says which, and what to write.
    """

    # Which vocabulary numbers the rows of a site: tables of two vocabularies must not be tied by index.
    vocabulary_sites: ClassVar[Mapping[str, str]] = {
        "encoder.embed.weight": "source",
        "decoder.embed.weight": "target",
        "head.{part}": "target",
    }
    tensor_parallel_styles: ClassVar[Mapping[str, str]] = {
        "{half:encoder|decoder}.embed": "rowwise",
        "{half:encoder|decoder}.layers.{l}.self_attn.{part:q|k|v}": "colwise",
        "{half:encoder|decoder}.layers.{l}.self_attn.o": "rowwise",
        "decoder.layers.{l}.cross_attn.{part:q|k|v}": "colwise",
        "decoder.layers.{l}.cross_attn.o": "rowwise",
        "{half:encoder|decoder}.layers.{l}.fc1": "colwise",
        "{half:encoder|decoder}.layers.{l}.fc2": "rowwise",
        "head": "colwise_gather",
    }
    # Methods that compute besides `forward`: whoever gathers parameters before a call must do so for these too.
    forward_methods: ClassVar[tuple[str, ...]] = ("encode", "decode")

    def __init__(
        self,
        vocab_size: int,
        dim: int = 256,
        depth: int = 6,
        heads: int = 4,
        hidden: int | None = None,
        *,
        dropout: float = 0.1,
        encoder_depth: int | None = None,
        decoder_depth: int | None = None,
        source_vocab_size: int | None = None,
        pad_id: int = 0,
    ) -> None:
        above = depth if encoder_depth is None else encoder_depth
        below = depth if decoder_depth is None else decoder_depth
        hidden = 4 * dim if hidden is None else hidden
        check_heads("EncoderDecoder", dim, heads, heads)
        read = vocab_size if source_vocab_size is None else source_vocab_size
        check_at_least_one("EncoderDecoder", vocab_size=vocab_size, source_vocab_size=read, hidden=hidden)
        check_at_least_one("EncoderDecoder", depth=depth, encoder_depth=above, decoder_depth=below)
        check_multiple("EncoderDecoder", "dim", dim, "the two halves of a position vector", 2)
        check_fraction("EncoderDecoder", dropout=dropout)
        super().__init__()
        self.pad_id = pad_id
        encoder: list[nn.Module] = [EncoderLayer(dim, heads, hidden, dropout, above) for _ in range(above)]
        decoder: list[nn.Module] = [DecoderLayer(dim, heads, hidden, dropout, below) for _ in range(below)]
        self.encoder = Encoder(read, dim, dropout, encoder)
        self.decoder = Decoder(vocab_size, dim, dropout, decoder)
        self.head = Projection(dim, vocab_size, gain=HEAD_GAIN)

    def new_cache(self) -> KeyValueCache:
        """An empty cache for one batch of texts to decode."""
        return KeyValueCache(len(self.decoder.layers))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits of the token after each target token.

        Args:
            source: Ids, int64 [B, S], padded with `pad_id`.
            target: Ids, int64 [B, T], padded at the end.

        Returns:
            Logits [B, T, vocab_size].
        """
        return self.decode(target, self.encode(source), source != self.pad_id)

    def encode(self, source: Tensor) -> Tensor:
        """Ids, int64 [B, S], padded with `pad_id` → memory [B, S, dim]."""
        return self.encoder(source, _broadcast(source != self.pad_id))

    def decode(
        self,
        target: Tensor,
        memory: Tensor,
        source_mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Logits of the token after each target token, for a memory that is already there.

        Args:
            target: Ids, int64 [B, T]; with a cache those that it has not seen yet.
            memory: What `encode` gave [B, S, dim].
            source_mask: True where the source is no padding, bool [B, S]. Default: everywhere.
            cache: What `new_cache` gave: the target tokens before, and the memory's keys and values.

        Returns:
            Logits [B, T, vocab_size].
        """
        mask = None if source_mask is None else _broadcast(source_mask)
        return self.head(self.decoder(target, memory, mask, cache))


def _broadcast(mask: Tensor) -> Tensor:
    """[B, S] → [B, 1, 1, S]: the same for all heads and queries."""
    return mask[:, None, None, :]
