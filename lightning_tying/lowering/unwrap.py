"""A module in, the module inside the wrappers around it out: the one that plans are made for."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from lightning_tying.lowering.resolve import WRAPPERS, own_modules


def unwrap(module: nn.Module) -> nn.Module:
    """The module inside torch.compile, FSDP1, activation checkpointing, DDP and Fabric."""
    for layer in peel(module):
        module = layer
    return module


def peel(module: nn.Module) -> Iterator[nn.Module]:
    """The module, what it wraps, what that wraps, and so on."""
    layer: nn.Module | None = module
    while layer is not None:
        yield layer
        layer = _step_inside(layer)


def is_strategy_wrapper(module: nn.Module) -> bool:
    """Whether a strategy's wrapper has seen the parameters already: DDP's, or Fabric's."""
    return isinstance(module, nn.parallel.DistributedDataParallel) or _is_fabric(module)


def _step_inside(module: nn.Module) -> nn.Module | None:
    children = own_modules(module)
    if isinstance(module, nn.parallel.DistributedDataParallel):
        return children.get("module")
    if _is_fabric(module):
        return children.get("_original_module")
    return next((children[name] for name in WRAPPERS if name in children), None)


def _is_fabric(module: nn.Module) -> bool:
    return type(module).__name__ == "_FabricModule"  # by name: the core does not import Lightning
