"""Rows of the survival table: a vocabulary that is resized."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lightning_tying.api import get_plan, tie, verify
from lightning_tying.lowering.edits.resize import resize_vocabulary
from tests.survival.cases import TOKENS, Kind, Net, make_untied, refill
from tests.survival.operation import HOLDS, Operation, every, refused

SPECS: dict[Kind, dict[str, Any]] = {
    "alias": {"share": [{"tie": ["embed.weight", "head.weight"], "name": "E"}]},
    "transposed": {"share": ["embed.weight = E", "head.weight = t(E)"]},
    "delta": {"share": ["embed.weight = E", "head.weight = E + low_rank(2)"]},
}


class Turned(Net):
    """The head's weight is written the other way round."""

    def __init__(self, rows: int = 12, width: int = 8) -> None:
        super().__init__(rows, width)
        self.head = nn.Linear(rows, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.two(self.one(self.embed(tokens))) @ self.head.weight


def make_tied(kind: Kind) -> Net:
    """The network with a tied vocabulary."""
    net = Turned() if kind == "transposed" else make_untied()
    tie(net, SPECS[kind])
    return refill(net)


def resized(_net: Net, kind: Kind) -> nn.Module:
    """12 rows become 16: the old ones compute what they did, and the tie holds at every place."""
    net = make_tied(kind)
    before = net(TOKENS)
    plan = resize_vocabulary(net, "E", 13, pad_to_multiple_of=8)
    assert plan is get_plan(net)
    assert net.embed.num_embeddings == 16
    assert (net.head.in_features if kind == "transposed" else net.head.out_features) == 16
    torch.testing.assert_close(net(TOKENS)[..., :12], before)
    assert net(torch.tensor([15])).shape == (1, 16)
    return net


def resized_late(net: Net, kind: Kind) -> None:
    tied = make_tied(kind)
    optimizer = torch.optim.AdamW(tied.parameters())
    try:
        resize_vocabulary(tied, "E", 16)
    finally:
        assert tied.embed.num_embeddings == 12
        verify(tied)
        del optimizer, net


OPERATIONS = (
    Operation("`resize_vocabulary` before an optimizer is made", resized, every(HOLDS), control=False, compared=False),
    Operation("`resize_vocabulary` after it", resized_late, every(refused("AdamW"))),
)
