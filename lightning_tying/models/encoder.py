"""Token ids in, logits of the classes out: a bidirectional Transformer that classifies texts."""

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from lightning_tying.models.arguments import check_at_least_one
from lightning_tying.models.block import NORM_EPS, make_blocks
from lightning_tying.models.feed_forward import Activation
from lightning_tying.models.linear import Projection, TokenEmbedding
from lightning_tying.models.rotary import make_rotation


@final
class EncoderClassifier(nn.Module):
    """`DecoderLM`'s blocks without the causal mask; the mean over a text's tokens goes into a linear classifier.

    FQNs are those of `DecoderLM`, so a spec for its layers fits here too; the head is `head.weight` [classes, dim] and
    `head.bias`.

    Args:
        vocab_size: Number of token ids.
        classes: Number of classes.
        dim: Width of the hidden states.
        depth: Number of layers.
        heads: Heads of the queries; divides `dim`, and leaves an even number of channels.
        kv_heads: Heads of keys and values; divides `heads`. Default: `heads`.
        hidden: Width inside the feed-forward networks. Default: 4 · dim for GELU, about 8/3 · dim for SwiGLU.
        activation: `"swiglu"` or `"gelu"`.
        dropout: Probability of dropout in training.
        pad_id: The id that fills short rows; it is neither seen nor counted.

    Raises:
        ValueError: An argument does not fit; the message says which, and what to write.
    """

    # Which vocabulary numbers the rows of a site: tables of two vocabularies must not be tied by index.
    vocabulary_sites: ClassVar[Mapping[str, str]] = {"embed.weight": "text"}
    tensor_parallel_styles: ClassVar[Mapping[str, str]] = {
        "embed": "rowwise",
        "layers.{l}.attn.{part:q|k|v}": "colwise",
        "layers.{l}.attn.o": "rowwise",
        "layers.{l}.mlp.{part:gate|up}": "colwise",
        "layers.{l}.mlp.down": "rowwise",
    }

    def __init__(
        self,
        vocab_size: int,
        classes: int,
        dim: int = 128,
        depth: int = 4,
        heads: int = 4,
        *,
        kv_heads: int | None = None,
        hidden: int | None = None,
        activation: Activation = "swiglu",
        dropout: float = 0.0,
        pad_id: int = 0,
    ) -> None:
        check_at_least_one("EncoderClassifier", vocab_size=vocab_size, classes=classes)
        layers = make_blocks(
            "EncoderClassifier",
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
        self.pad_id = pad_id
        self.embed = TokenEmbedding(vocab_size, dim)
        self.drop = nn.Dropout(dropout)
        self.layers = layers
        self.norm = nn.RMSNorm(dim, eps=NORM_EPS)
        self.head = Projection(dim, classes, bias=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids, int64 [B, T], padded with `pad_id` → logits [B, classes]."""
        seen = tokens != self.pad_id
        rotation = make_rotation(torch.arange(tokens.shape[1], device=tokens.device), self.channels)
        x = self.drop(self.embed(tokens))
        for layer in self.layers:
            x = layer(x, rotation, mask=seen[:, None, None, :])
        return self.head(_mean(self.norm(x), seen))


def _mean(x: Tensor, seen: Tensor) -> Tensor:
    """The mean of x [B, T, dim] over the tokens that are seen [B, T]; 0 for a row of padding alone."""
    weights = seen.to(x.dtype).unsqueeze(-1)
    return (x * weights).sum(1) / weights.sum(1).clamp(min=1)
