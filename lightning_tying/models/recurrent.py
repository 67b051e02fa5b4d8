"""Token ids in, logits of the next token out: a recurrent language model, LSTM or GRU."""

from collections.abc import Mapping
from typing import ClassVar, Literal, final

from torch import Tensor, nn

from lightning_tying.models.arguments import check_at_least_one, check_choice, check_fraction
from lightning_tying.models.cache import RecurrentCache
from lightning_tying.models.linear import HEAD_GAIN, Projection, TokenEmbedding

Kind = Literal["lstm", "gru"]


@final
class RecurrentLM(nn.Module):
    """Embedding, dropout, recurrent layers, dropout, head (Zaremba et al. 2014); embedding and head suit one tensor.

    FQNs: `embed.weight`, `rnn.weight_{ih,hh}_l{l}`, `rnn.bias_{ih,hh}_l{l}`, `head.weight`, `head.bias`. The embedding
    is as wide as the state, so that embedding and head can be one (Press & Wolf 2017).

    Args:
        vocab_size: Number of token ids.
        dim: Width of the embedding and of the state.
        depth: Number of recurrent layers.
        kind: `"lstm"` or `"gru"`.
        dropout: Probability of dropout in training: of the input, between layers and of the output.
        bias: Whether the head has a bias.

    Raises:
        ValueError: An argument does not fit; the message says which, and what to write.
    """

    # Which vocabulary numbers the rows of a site: tables of two vocabularies must not be tied by index.
    vocabulary_sites: ClassVar[Mapping[str, str]] = {"embed.weight": "text", "head.{part}": "text"}

    def __init__(
        self,
        vocab_size: int,
        dim: int = 200,
        depth: int = 2,
        kind: Kind = "lstm",
        *,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        check_choice("RecurrentLM", "kind", kind, ("lstm", "gru"))
        check_at_least_one("RecurrentLM", vocab_size=vocab_size, dim=dim, depth=depth)
        check_fraction("RecurrentLM", dropout=dropout)
        super().__init__()
        between = dropout if depth > 1 else 0.0  # torch warns where there is no "between"
        self.embed = TokenEmbedding(vocab_size, dim)
        self.rnn = (nn.LSTM if kind == "lstm" else nn.GRU)(dim, dim, depth, dropout=between, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.head = Projection(dim, vocab_size, bias=bias, gain=HEAD_GAIN)

    def new_cache(self) -> RecurrentCache:
        """An empty cache for one batch of texts to decode."""
        return RecurrentCache()

    def forward(self, tokens: Tensor, cache: RecurrentCache | None = None) -> Tensor:
        """Logits of the token after each token.

        Args:
            tokens: Ids, int64 [B, T]; with a cache those that it has not seen yet.
            cache: What `new_cache` gave: the state after the tokens before; it becomes the state after `tokens`.

        Returns:
            Logits [B, T, vocab_size].
        """
        before = () if cache is None else cache.state
        x = self.drop(self.embed(tokens))
        if isinstance(self.rnn, nn.LSTM):
            x, after = self.rnn(x, before or None)
        else:
            x, hidden = self.rnn(x, before[0] if before else None)
            after = (hidden,)
        if cache is not None:
            cache.advance(after, tokens.shape[1])
        return self.head(self.drop(x))
