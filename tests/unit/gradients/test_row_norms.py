"""The norms of a table's rows, use by use, against the rows of gradients that were taken one use at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_tying import tie
from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.catch import catch_uses
from lightning_tying.gradients.sinks import ExactSink, Sink, SketchSink, StreamingSink

ROWS, WIDTH = 12, 5
E = ParameterName("E")
MAKERS: dict[str, Callable[[Collection[ParameterName]], Sink]] = {
    "streaming": lambda tables: StreamingSink(tables=tables),
    "sketch": lambda tables: SketchSink(64, tables=tables),
    "exact": lambda tables: ExactSink(tables=tables),
}


class Net(nn.Module):
    """A table that is read at the input, at the output, and in between as a matrix."""

    def __init__(self, spec: Any) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.embed, self.head = nn.Embedding(ROWS, WIDTH), nn.Linear(WIDTH, ROWS, bias=False)
        self.double()
        tie(self, spec)

    def forward(self, ids: Tensor, of: str = "both") -> Tensor:
        table = self.embed(ids)
        hidden = table if of != "head" else table.detach()
        weight = self.head.weight if of != "embed" else self.head.weight.detach()
        return nn.functional.linear(hidden.tanh(), weight).square().sum()


SPECS: dict[str, Any] = {
    "alias": {"share": ["embed.weight = E", "head.weight = E"]},
    "delta": {"share": ["embed.weight = E", "head.weight = E + low_rank(2)"]},
}
BATCHES = (torch.tensor([1, 1, 4, 7]), torch.tensor([0, 4, 11]))


def take_alone(net: Net, of: str, batches: Collection[Tensor]) -> Tensor:
    """The gradient of the table with the other use held fast."""
    net.zero_grad()
    for ids in batches:
        net(ids, of).backward()
    gradient = net.embed.weight.grad
    assert gradient is not None
    return gradient.clone()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("sink", MAKERS)
def test_rows_are_those_of_each_use_alone(sink: str, spec: str) -> None:
    net = Net(SPECS[spec])
    expected = [take_alone(net, of, BATCHES[:1]) for of in ("embed", "head")]
    with catch_uses(net, groups=[E], sink=(caught := MAKERS[sink]([E]))):
        net(BATCHES[0]).backward()
    found = caught.finish(2.0)[E]
    assert found.rows is not None
    torch.testing.assert_close(2 * found.rows.uses, torch.stack([each.norm(dim=1) for each in expected]))
    torch.testing.assert_close(2 * found.rows.total, sum(expected, torch.zeros(ROWS, WIDTH)).norm(dim=1).double())
    assert found.norms == pytest.approx([float(each.norm()) / 2 for each in expected])


def test_kept_gradients_are_added_up_over_passes_and_others_as_squares() -> None:
    net = Net(SPECS["alias"])
    whole = [take_alone(net, of, BATCHES).norm(dim=1) for of in ("embed", "head")]
    single = [[take_alone(net, of, [ids]).norm(dim=1).square() for ids in BATCHES] for of in ("embed", "head")]
    exact, streaming = ExactSink(tables=[E]), StreamingSink(tables=[E])
    with catch_uses(net, sink=exact), catch_uses(net, sink=streaming):
        for ids in BATCHES:
            net(ids).backward()
    kept, squares = exact.finish()[E].rows, streaming.finish()[E].rows
    assert kept is not None and squares is not None
    torch.testing.assert_close(kept.uses, torch.stack(whole))
    torch.testing.assert_close(squares.uses.square(), torch.stack([one + other for one, other in single]))


@pytest.mark.parametrize("sink", MAKERS)
def test_nobody_asks_for_rows(sink: str) -> None:
    net = Net(SPECS["alias"])
    with catch_uses(net, sink=(caught := MAKERS[sink]([]))):
        net(BATCHES[0]).backward()
    assert caught.finish()[E].rows is None
