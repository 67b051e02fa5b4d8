"""The networks of the matrix: nothing goes in, a network of a few thousand parameters, its batches and its loss out."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from lightning_tying.models import DecoderLM, EncoderClassifier, EncoderDecoder, RecurrentLM

VOCABULARY, CLASSES, DIM, HEADS = 32, 4, 16, 2
ROWS, LENGTH = 8, 9


class Towers(nn.Module):
    """Two towers whose outputs for a pair of inputs are to meet."""

    def __init__(self) -> None:
        super().__init__()
        self.towers = nn.ModuleDict({name: _tower() for name in ("left", "right")})

    def forward(self, pair: Tensor) -> Tensor:
        left, right = (tower(pair[:, place]) for place, tower in enumerate(self.towers.values()))
        return left @ right.T


def _tower() -> nn.Sequential:
    return nn.Sequential(nn.Linear(DIM, 2 * DIM), nn.Tanh(), nn.Linear(2 * DIM, DIM))


def decoder() -> nn.Module:
    return DecoderLM(VOCABULARY, DIM, 4, HEADS, hidden=32)


def classifier() -> nn.Module:
    return EncoderClassifier(VOCABULARY, CLASSES, DIM, 3, HEADS, hidden=32)


def translator() -> nn.Module:
    return EncoderDecoder(VOCABULARY, DIM, 1, HEADS, 32, dropout=0.0)


def recurrent() -> nn.Module:
    return RecurrentLM(VOCABULARY, DIM, 2)


def draw_tokens(generator: Generator) -> Tensor:
    """Ids [8, 9] that go up by 1, 2 or 3, from 1, since 0 pads, to 31 and round."""
    start, step = (torch.randint(low, high, (ROWS, 1), generator=generator) for low, high in ((0, VOCABULARY), (1, 4)))
    return 1 + (start + step * torch.arange(LENGTH)) % (VOCABULARY - 1)


def draw_pairs(generator: Generator) -> Tensor:
    """Vectors [8, 2, 16]."""
    return torch.randn(ROWS, 2, DIM, generator=generator)


def predict_next(network: nn.Module, rows: Tensor) -> Tensor:
    logits = network(rows[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def copy_reversed(network: nn.Module, rows: Tensor) -> Tensor:
    target = rows.flip(1)
    logits = network(rows, target[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten())


def classify(network: nn.Module, rows: Tensor) -> Tensor:
    return functional.cross_entropy(network(rows), rows.sum(1) % CLASSES)


def meet(network: nn.Module, pairs: Tensor) -> Tensor:
    """The mean over pairs, so that it is the same for a batch and the mean of its halves."""
    return network(pairs).diagonal().sub(1).square().mean()
