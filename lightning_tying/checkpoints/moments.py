"""Optimizer states by parameter and where parameters come from go in, the states of the new parameters come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from lightning_tying.checkpoints.origins import Origin

State = Mapping[str, Any]


def migrate_moments(states: Mapping[str, State], origins: Mapping[str, Origin]) -> dict[str, dict[str, Any]]:
    """The optimizer's state of every parameter that has one.

    A split copies the state to every new parameter. A join averages it, each site counted once: the moments are
    means, maxima of moments (`max_…`) are maxima, and `step` is the largest. A parameter that is solved or drawn has
    no state: its optimizer begins anew there.

    Args:
        states: by the first name of the source's parameters.
        origins: by the first name of the target's.
    """
    made: dict[str, dict[str, Any]] = {}
    for name, origin in origins.items():
        found = [states[source] for source in origin.sources if source in states]
        if found:
            made[name] = join_states(found)
    return made


def join_states(states: Sequence[State], weights: Sequence[float] | None = None) -> dict[str, Any]:
    """One state of several, by the rules of `migrate_moments`; entries that only some have are left out.

    Args:
        states: of parameters of one shape.
        weights: of each state in a mean; None for equal ones.
    """
    first, rest = states[0], states[1:]
    common = [key for key in first if all(key in each for each in rest)]
    return {key: _join(key, [state[key] for state in states], weights) for key in common}


def _join(key: str, values: Sequence[object], weights: Sequence[float] | None) -> object:
    if all(value is values[0] for value in values):
        return values[0].clone() if isinstance(values[0], Tensor) else values[0]
    if all(isinstance(value, Tensor) for value in values):
        return _join_tensors(key, cast("Sequence[Tensor]", values), weights)
    if all(isinstance(value, int | float) for value in values):
        return max(cast("Sequence[float]", values))
    return values[0]


def _join_tensors(key: str, tensors: Sequence[Tensor], weights: Sequence[float] | None) -> Tensor:
    stacked = torch.stack([tensor.detach() for tensor in tensors])
    if key == "step" or key.startswith("max_") or not stacked.is_floating_point():
        return stacked.amax(0)
    if weights is None:
        return stacked.double().mean(0).to(tensors[0].dtype)
    shares = torch.tensor(weights, dtype=torch.float64, device=stacked.device) / sum(weights)
    return torch.einsum("n,n...->...", shares, stacked.double()).to(tensors[0].dtype)
