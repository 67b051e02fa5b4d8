"""Series of numbers in, logits of the classes out: a recurrent network that classifies speech and other series."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lightning_tying.models.arguments import check_at_least_one, check_choice, check_fraction
from lightning_tying.models.linear import Projection
from lightning_tying.models.recurrent import Kind


@final
class RecurrentClassifier(nn.Module):
    """Recurrent layers in both directions, the mean over a series' frames, a linear classifier.

    FQNs: `rnn.weight_{ih,hh}_l{l}`, `rnn.bias_{ih,hh}_l{l}`, those of the other direction with `_reverse` behind;
    `head.weight`, `head.bias`. All layers but the first have equal shapes, and so have both directions of a layer
    (Schuster & Paliwal 1997).

    Args:
        channels: Numbers in a frame.
        classes: Number of classes.
        dim: Width of the state of each direction.
        depth: Number of recurrent layers.
        kind: `"lstm"` or `"gru"`.
        bidirectional: Whether each layer reads the series backwards too.
        dropout: Probability of dropout in training: between layers and of the mean.

    Raises:
        ValueError: An argument does not fit; the message says which, and what to write.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        dim: int = 32,
        depth: int = 3,
        kind: Kind = "lstm",
        *,
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        check_choice("RecurrentClassifier", "kind", kind, ("lstm", "gru"))
        check_at_least_one("RecurrentClassifier", channels=channels, classes=classes, dim=dim, depth=depth)
        check_fraction("RecurrentClassifier", dropout=dropout)
        super().__init__()
        between = dropout if depth > 1 else 0.0  # torch warns where there is no "between"
        make = nn.LSTM if kind == "lstm" else nn.GRU
        self.rnn = make(channels, dim, depth, dropout=between, batch_first=True, bidirectional=bidirectional)
        self.drop = nn.Dropout(dropout)
        self.head = Projection(dim * (2 if bidirectional else 1), classes, bias=True)

    def forward(self, series: Tensor) -> Tensor:
        """Frames [B, T, channels] → logits [B, classes]; frames of zeros behind the last other one are padding."""
        places = torch.arange(1, series.shape[1] + 1, device=series.device)
        lengths = ((series != 0).any(-1) * places).amax(1).clamp(min=1)
        packed = pack_padded_sequence(series, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=series.shape[1])
        # a packed sequence comes back with zeros behind each series' end, so its sum is the sum over what was seen
        return self.head(self.drop(states.sum(1) / lengths.unsqueeze(1).to(states.dtype)))
