"""What a caller passes in, the module that plans are made for out, or a refusal that says what to do first."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import cast

import torch
from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import own_parameters, walk_modules
from lightning_tying.lowering.state import read_state
from lightning_tying.lowering.unwrap import is_strategy_wrapper, peel, unwrap

UNTIE_FIRST = "Untie it first: untie(module), then tie(module, spec)."


def check_module(module: object, function: str) -> nn.Module:
    """The module inside wrappers.

    Raises:
        ApplyError: not a module, or one of TorchScript.
    """
    if not isinstance(module, nn.Module):
        kind = module.__name__ + ", a class" if isinstance(module, type) else f"a {type(module).__name__}"
        raise ApplyError(f"{function} needs a torch.nn.Module first, and got {kind}.")
    _check_not_scripted(module, function)
    return unwrap(module)


def check_can_change(module: nn.Module, function: str) -> nn.Module:
    """The module inside `torch.compile`; one whose parameters a strategy already knows is refused.

    Raises:
        ApplyError: not a module, wrapped by DDP, or sharded and not tied yet.
    """
    inner = check_module(module, function)
    for part in (*peel(module), *(part for _, part in walk_modules(inner))):
        _check_not_scripted(part, function)
        if is_strategy_wrapper(part):
            name = type(part).__name__
            raise ApplyError(
                f"{function} came after {name}, which has counted the parameters already. Call {function} first, "
                "then wrap (before fabric.setup, and in a LightningModule's __init__ or configure_model)."
            )
    if read_state(inner) is None or function != "tie":
        _check_not_sharded(inner, function)
    return inner


def check_sites(sites: object) -> list[str] | None:
    """FQNs in a list, a single one too; None stays None.

    Raises:
        ApplyError: something else.
    """
    if sites is None or isinstance(sites, str):
        return None if sites is None else [sites]
    listed = list(cast("Iterable[object]", sites)) if isinstance(sites, Iterable) else [sites]
    for site in listed:
        if not isinstance(site, str):
            raise ApplyError(f"Sites are FQNs, such as 'head.weight', and {site!r} is a {type(site).__name__}.")
    return [str(site) for site in listed]


def check_graph(thing: object) -> SharingGraph:
    """The graph of a plan, or a graph.

    Raises:
        ApplyError: neither.
    """
    if isinstance(thing, Plan):
        return thing.graph
    if isinstance(thing, SharingGraph):
        return thing
    hint = "report_savings(get_plan(module))" if isinstance(thing, nn.Module) else "what tie or discover returned"
    raise ApplyError(f"report_savings takes a plan or a graph, not a {type(thing).__name__}. Pass {hint}.")


def _check_not_scripted(module: nn.Module, function: str) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        name = str(getattr(module, "original_name", type(module).__name__))
        raise ApplyError(f"{name} is TorchScript, whose parameters stay as they are. Call {function} before torch.jit.")


def _check_not_sharded(module: nn.Module, function: str) -> None:
    fsdp = sys.modules.get("torch.distributed.fsdp")  # without it nothing can be sharded yet
    if fsdp is None and "torch.distributed.tensor" not in sys.modules:
        return
    for path, part in walk_modules(module):
        where = f"`{path}`" if path else f"This {type(part).__name__}"
        if fsdp is not None and isinstance(part, (fsdp.FSDPModule, fsdp.FullyShardedDataParallel)):
            raise ApplyError(f"{where} is sharded already. Call {function} before fully_shard or FSDP.")
        if any(is_sharded(parameter) for parameter in own_parameters(part).values()):
            raise ApplyError(
                f"{where} has DTensor parameters. Call {function} before fully_shard or parallelize_module."
            )
