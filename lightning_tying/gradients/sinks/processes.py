"""What one process has in, what all of them have together out; with one process it is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey

_torch: Any = distributed  # its stubs leave these functions open


@dataclass(slots=True)
class GroupUses:
    """What a sink has seen of one group.

    Args:
        keys: its uses.
        shape: of a gradient; None before the first.
        dtype: of a gradient.
    """

    keys: dict[UseKey, None]
    shape: torch.Size | None = None
    dtype: torch.dtype = torch.float32


def has_processes() -> bool:
    """Whether there are other processes."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def agree_on_uses(mine: Mapping[ParameterName, GroupUses]) -> dict[ParameterName, GroupUses]:
    """The groups and uses of all processes, in one order: a module may be left out on one of them."""
    gathered: list[Mapping[ParameterName, GroupUses]] = [{} for _ in range(distributed.get_world_size())]
    _torch.all_gather_object(gathered, dict(mine))
    agreed: dict[ParameterName, GroupUses] = {}
    for each in gathered:
        for group, uses in each.items():
            held = agreed.setdefault(group, GroupUses({}))
            held.keys |= uses.keys
            if held.shape is None:
                held.shape, held.dtype = uses.shape, uses.dtype
    return agreed


def first_of_all(mine: Mapping[ParameterName, UseKey]) -> dict[ParameterName, UseKey]:
    """A use for each group: the first process's that has one."""
    gathered: list[Mapping[ParameterName, UseKey]] = [{} for _ in range(distributed.get_world_size())]
    _torch.all_gather_object(gathered, dict(mine))
    return {group: key for each in reversed(gathered) for group, key in each.items()}


def average(tensor: Tensor) -> Tensor:
    """The mean over all processes, as DDP and FSDP2 average gradients; NCCL takes a tensor on the GPU only."""
    if distributed.get_backend() == "nccl":
        tensor = tensor.cuda()
    _torch.all_reduce(tensor)
    tensor /= distributed.get_world_size()
    return tensor
