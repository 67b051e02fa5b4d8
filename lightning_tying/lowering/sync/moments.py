"""The optimizer's states of parameters whose values were changed go in; they are averaged, or forgotten, or left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias, cast

from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_tying.lowering.sync.average import Rows, mix

State: TypeAlias = MutableMapping[str, Any]


def find_states(optimizers: Iterable[Optimizer], parameter: nn.Parameter) -> Iterator[State]:
    """What each optimizer remembers of a parameter; nothing where it has not moved it yet."""
    for optimizer in optimizers:
        states = cast("Mapping[Tensor, State]", optimizer.state)
        if parameter in states:
            yield states[parameter]


def reset_moments(optimizers: Iterable[Optimizer], parameter: nn.Parameter) -> None:
    """Let the optimizers begin anew with a parameter, bias correction included."""
    for optimizer in optimizers:
        optimizer.state.pop(parameter, None)


def average_moments(states: Sequence[State], rows: Rows) -> None:
    """Average the tensors of several states with the weights of the values, in place.

    What counts steps stays each member's own; an entry that a member lacks, or has in another shape, stays as it is.

    Args:
        states: of the members, in the order of the rows.
        rows: the mixing matrix.
    """
    for key in list_moments(states):
        tensors = [state[key] for state in states]
        for tensor, value in zip(tensors, mix(tensors, rows), strict=True):
            tensor.copy_(value)


def list_moments(states: Sequence[Mapping[str, Any]]) -> list[str]:
    """The entries that can be averaged, in order: floating-point tensors of one shape that all states have."""
    if not states:
        return []
    return sorted(key for key in states[0] if key != "step" and _is_alike([state.get(key) for state in states]))


def _is_alike(values: Sequence[object]) -> bool:
    tensors = [value for value in values if isinstance(value, Tensor) and value.is_floating_point()]
    return len(tensors) == len(values) and len({tensor.shape for tensor in tensors}) == 1
