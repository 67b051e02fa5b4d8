"""Small models and specs for the lowering's tests."""

from __future__ import annotations

import pytest
import torch
from torch import nn


class Tower(nn.Module):
    """Embedding, four layers with a norm, a head: enough for every kind of tie."""

    def __init__(self, width: int = 8, rows: int = 12, depth: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(rows, width)
        self.layers = nn.ModuleList(
            nn.ModuleDict({"up": nn.Linear(width, width), "norm": nn.LayerNorm(width)}) for _ in range(depth)
        )
        self.head = nn.Linear(width, rows, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.embed(tokens)
        for layer in self.layers:
            hidden = hidden + layer["norm"](torch.tanh(layer["up"](hidden)))
        return self.head(hidden)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture
def tower() -> Tower:
    return Tower()


@pytest.fixture
def new_tower() -> type[Tower]:
    return Tower


@pytest.fixture
def spec() -> dict[str, object]:
    return {
        "share": [
            {"tie": ["embed.weight", "head.weight"], "name": "E"},
            {"sites": "layers.{l}.{name*}", "equals": "block[name, l % 2]"},
        ]
    }


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.arange(12).reshape(3, 4)
