"""A parameter and its new value in; the value is written, also into a parameter that a mesh shards; or read whole."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor


def write_value(parameter: Tensor, value: Tensor) -> None:
    """Copy `value` into `parameter` without a gradient.

    Args:
        parameter: of any device and dtype; a DTensor gets its own part of `value`.
        value: of the parameter's whole shape, the same on all processes.
    """
    with torch.no_grad():
        if is_sharded(parameter):
            from torch.distributed.tensor import DTensor, distribute_tensor  # costs a second to import

            if isinstance(parameter, DTensor):
                mesh = parameter.device_mesh
                local = value.to(device=parameter.to_local().device, dtype=parameter.dtype)
                parameter.copy_(distribute_tensor(local, mesh, parameter.placements))
                return
        parameter.copy_(value.to(parameter))


def read_whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor, gathered from all processes where it is sharded; with gradients to it."""
    if is_sharded(tensor):
        untyped: Any = tensor  # a DTensor
        return untyped.full_tensor()
    return tensor


def is_sharded(tensor: Tensor | None) -> bool:
    """Whether it is a DTensor; none can exist before torch's module for them has been imported."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)
