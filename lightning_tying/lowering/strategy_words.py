"""A module as the caller has it, wrappers and all, in; what has distributed it out, in words for messages."""

from __future__ import annotations

import sys

import torch
from torch import nn

from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.unwrap import is_strategy_wrapper, peel


def name_strategy(module: nn.Module) -> str:
    """`DDP`, `FSDP1`, `FSDP2`, `tensor parallel`, `FSDP2 and tensor parallel`, `2 processes`, or nothing.

    Args:
        module: with its wrappers, as far as the caller has them.
    """
    fsdp = sys.modules.get("torch.distributed.fsdp")
    if fsdp is not None and any(isinstance(part, fsdp.FullyShardedDataParallel) for part in module.modules()):
        return "FSDP1"
    sharded = fsdp is not None and any(isinstance(part, fsdp.FSDPModule) for part in module.modules())
    found = ["FSDP2"] if sharded else []
    if any(not found or _has_tensor_dimension(each) for each in module.parameters() if is_sharded(each)):
        found.append("tensor parallel")
    return " and ".join(found) or _name_wrapper(module)


def _has_tensor_dimension(parameter: nn.Parameter) -> bool:
    mesh = getattr(parameter, "device_mesh", None)  # of a DTensor
    names: tuple[str, ...] = getattr(mesh, "mesh_dim_names", None) or ()
    return any("tensor" in name or name == "tp" for name in names)


def _name_wrapper(module: nn.Module) -> str:
    for layer in peel(module):
        if is_strategy_wrapper(layer):
            is_ddp = isinstance(layer, nn.parallel.DistributedDataParallel)
            return "DDP" if is_ddp else "Fabric"
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        return f"{distributed.get_world_size()} processes"
    return ""
