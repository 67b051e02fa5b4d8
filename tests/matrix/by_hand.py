"""A case and its first values go in; a training run in plain torch comes out, without any code of the package's.

The network is the untied one. In every step the sites' values are computed from the shared parameters by the formula
that stands in `by_hand_values`, and the network is called with them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tests.matrix.cases import Case
from tests.matrix.outcome import Outcome
from tests.matrix.task import CLIP, build, global_batches, make_optimizer


class Called(nn.Module):
    """The network with other values at its sites."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.values: Mapping[str, Tensor] = {}

    def forward(self, *inputs: Tensor) -> Tensor:
        return functional_call(self.network, dict(self.values), inputs)


def train_by_hand(case: Case, first: Mapping[str, Tensor]) -> Outcome:
    """Train the case.

    Args:
        case: with its formula.
        first: the first values of shared parameters by name, and of the others by FQN.
    """
    network = Called(build(case))
    shapes = {fqn: tuple(parameter.shape) for fqn, parameter in network.network.named_parameters()}
    frozen = {name for name, policy in case.parameters if policy.get("frozen")}
    weights = {name: nn.Parameter(value.clone(), requires_grad=name not in frozen) for name, value in first.items()}
    trained = [weight for weight in weights.values() if weight.requires_grad]
    optimizer = make_optimizer(trained)
    losses: list[Tensor] = []
    norms: list[Tensor] = []
    for rows in global_batches(case):
        private = {fqn: weights[fqn] for fqn in shapes if fqn in weights}
        network.values = private | case.formula(weights, shapes)
        assert network.values.keys() == shapes.keys()
        loss = case.loss(network, rows)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.detach())
        norms.append(nn.utils.clip_grad_norm_(trained, CLIP))
        optimizer.step()
    return Outcome(torch.stack(losses), torch.stack(norms), {name: w.detach() for name, w in weights.items()})
