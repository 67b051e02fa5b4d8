"""The small network that every operation of the survival table is done to, tied in three ways, and what it computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lightning_tying.api import get_plan, tie
from lightning_tying.lowering.derive import find_places

Kind: TypeAlias = Literal["alias", "transposed", "delta"]
KINDS: tuple[Kind, ...] = ("alias", "transposed", "delta")
SPECS: Mapping[Kind, dict[str, Any]] = {
    "alias": {"share": ["one.weight = W", "two.weight = W"]},
    "transposed": {"share": ["one.weight = W", "two.weight = t(W)"]},
    "delta": {"share": ["one.weight = W + low_rank(2)", "two.weight = W + low_rank(2)"]},
}
DRAWN = {"parameters": {"W": {"init": "normal(0.02)"}}}
TOKENS = torch.arange(12).reshape(3, 4)


class Net(nn.Module):
    """An embedding, two layers that share a weight, a head; the layers may be checkpointed in `forward`."""

    def __init__(self, rows: int = 12, width: int = 8) -> None:
        super().__init__()
        self.embed = nn.Embedding(rows, width)
        self.one = nn.Linear(width, width)
        self.two = nn.Linear(width, width)
        self.head = nn.Linear(width, rows, bias=False)
        self.reentrant: bool | None = None

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embed(tokens)
        for layer in (self.one, self.two):
            if self.reentrant is None:
                hidden = torch.tanh(layer(hidden))
            else:
                hidden = torch.tanh(checkpoint(layer, hidden, use_reentrant=self.reentrant))
        return self.head(hidden)


def make_untied() -> Net:
    """The network before the tie; the same numbers each time."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Net()


def make(kind: Kind, **more: Any) -> Net:
    """The tied network; its shared parameters have numbers of their own, so that no delta is zero."""
    net = make_untied()
    tie(net, SPECS[kind] | more)
    return refill(net)


def refill(net: Net) -> Net:
    """Numbers for all parameters that depend on their order alone."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(4)
        for parameter in net.parameters():
            parameter.copy_(torch.empty(parameter.shape).normal_(std=0.4))  # the same for every dtype
    return net


@dataclass(frozen=True)
class Reading:
    """What a network computes: its outputs, and the gradient of each sharing group, in float32."""

    outputs: Tensor
    gradients: Mapping[str, Tensor]
    parameters: int


def read(net: nn.Module) -> Reading:
    """Run a tied network forward and backward once; it may be wrapped, sharded, and of any dtype."""
    net.zero_grad()
    outputs = whole(net(TOKENS))
    outputs.float().pow(2).sum().backward()
    plan = get_plan(net)
    inner = next(part for part in net.modules() if "_lightning_tying" in vars(part))
    places = find_places(plan, inner)
    gradients: dict[str, Tensor] = {}
    for group in plan.graph.groups:
        gradient = places[group.keeper].read().grad
        assert gradient is not None, f"{group.name} has no gradient"
        gradients[str(group.name)] = whole(gradient).detach().float().clone()
    net.zero_grad()
    return Reading(outputs.detach().float(), gradients, sum(1 for _ in net.parameters()))


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be sharded."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor  # type: ignore[no-any-return]


def assert_same(one: Reading, two: Reading, tolerance: float = 1e-6) -> None:
    """Equal outputs, equal gradients of all groups, as many parameters."""
    assert one.parameters == two.parameters
    torch.testing.assert_close(one.outputs, two.outputs, rtol=tolerance, atol=tolerance)
    assert one.gradients.keys() == two.gradients.keys()
    for name, gradient in one.gradients.items():
        torch.testing.assert_close(gradient, two.gradients[name], rtol=10 * tolerance, atol=10 * tolerance, msg=name)
